// The API key, in the system's keyring by VS Code's SecretStorage, and nowhere else.
import * as vscode from "vscode";

const NAME = "cleanroom.apiKey";

export class Key {
  /** As the keyring had it last: who starts a server anew cannot wait for the keyring. */
  current: string | undefined;
  /** Whether somebody signed out, so that a key of the environment does not count either. */
  signedOut = false;

  constructor(private readonly secrets: vscode.SecretStorage) {}

  async load(): Promise<void> {
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
    this.signedOut = false;
    await this.secrets.store(NAME, key);
    return key;
  }

  async forget(): Promise<void> {
    this.current = undefined;
    this.signedOut = true;
    await this.secrets.delete(NAME);
  }
}
