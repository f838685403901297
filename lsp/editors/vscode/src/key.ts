// The API key, in the system's keyring by VS Code's SecretStorage, and nowhere else.
import * as vscode from "vscode";

const NAME = "cleanroom.apiKey";
const SIGNED_OUT = "cleanroom.signedOut";
// Where a language server finds a key by itself.
const VARIABLE = "CLEANROOM_API_KEY";

export class Key {
  /** As the keyring had it last: who starts a server anew cannot wait for the keyring. */
  current: string | undefined;
  /** Whether somebody signed out, so that a key of the environment does not count either. */
  signedOut = false;

  constructor(
    private readonly secrets: vscode.SecretStorage,
    private readonly state: vscode.Memento,
  ) {}

  /** For a language server that is started now, which must find no key by itself where somebody signed out. */
  get environment(): NodeJS.ProcessEnv {
    return this.signedOut ? { ...process.env, [VARIABLE]: "" } : process.env;
  }

  async load(): Promise<void> {
    this.signedOut = this.state.get(SIGNED_OUT, false);
    this.current = await this.secrets.get(NAME);
  }

  /** Asks for a key and keeps it. Undefined where none was typed in. */
  async ask(): Promise<string | undefined> {
    const typed = await vscode.window.showInputBox({
      title: "Cleanroom: Sign In",
      prompt: "The API key, as `cleanroom key create` showed it",
      password: true,
      ignoreFocusOut: true,
    });
    const key = typed?.trim();
    if (!key) {
      return undefined;
    }
    this.current = key;
    await this.note(false);
    await this.secrets.store(NAME, key);
    return key;
  }

  async forget(): Promise<void> {
    this.current = undefined;
    await this.note(true);
    await this.secrets.delete(NAME);
  }

  /** Outlives the window, as the keyring does. */
  private async note(signedOut: boolean): Promise<void> {
    this.signedOut = signedOut;
    await this.state.update(SIGNED_OUT, signedOut || undefined);
  }
}
