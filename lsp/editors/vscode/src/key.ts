// The API key, in the system's keyring by VS Code's SecretStorage, and nowhere else.
import * as vscode from "vscode";

const NAME = "cleanroom.apiKey";

export class Key {
  constructor(private readonly secrets: vscode.SecretStorage) {}

  get(): Thenable<string | undefined> {
    return this.secrets.get(NAME);
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
    if (key) {
      await this.secrets.store(NAME, key);
    }
    return key || undefined;
  }

  async forget(): Promise<void> {
    await this.secrets.delete(NAME);
  }
}
