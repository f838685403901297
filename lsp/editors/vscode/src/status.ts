// How things stand, in the status bar: what the server said last, or why there is none.
import * as vscode from "vscode";

const ICONS = {
  Normal: "$(shield)",
  Warning: "$(warning)",
  Error: "$(error)",
  Inactive: "$(circle-slash)",
} as const;

type Kind = keyof typeof ICONS;

export class Status {
  kind: Kind = "Inactive";
  private message = "starting";
  private complained = "";
  private readonly item = vscode.window.createStatusBarItem("cleanroom.status", vscode.StatusBarAlignment.Right, 100);

  constructor() {
    this.item.name = "Cleanroom";
    this.item.command = "cleanroom.showStatus";
    this.show({ busy: false, kind: "Inactive", message: "the language server is starting" });
    this.item.show();
  }

  /** Takes a status of the server's; an error is told once. The server does not know of `signedOut`. */
  show(params: unknown, signedOut = false): void {
    const { busy, kind, message } = (params ?? {}) as Record<string, unknown>;
    const known = typeof kind === "string" && kind in ICONS;
    this.kind = known ? (kind as Kind) : "Error";
    this.message = known ? String(message ?? "") : "the language server sent a status that is none: is it Cleanroom?";
    if (signedOut && this.kind === "Inactive") {
      this.message = "signed out: Cleanroom: Sign In takes a key";
    }
    this.item.text = `${busy === true ? "$(loading~spin)" : ICONS[this.kind]} Cleanroom`;
    this.item.tooltip = this.message || "Completions come";
    this.item.accessibilityInformation = { label: `Cleanroom: ${this.kind} ${this.message}` };
    this.item.backgroundColor =
      this.kind === "Error" ? new vscode.ThemeColor("statusBarItem.errorBackground") : undefined;
    if (this.kind !== "Error") {
      this.complained = "";
    } else if (this.complained !== this.message) {
      this.complained = this.message;
      void vscode.window.showErrorMessage(`Cleanroom: ${this.message}`);
    }
  }

  /** Says it in full, with what can be done. */
  async explain(): Promise<void> {
    const actions: Record<string, string> = { "Sign In": "cleanroom.signIn", Restart: "cleanroom.restart" };
    const text = `Cleanroom: ${this.message || "completions come"}`;
    const chosen = await vscode.window.showInformationMessage(text, ...Object.keys(actions));
    const command = chosen && actions[chosen];
    if (command) {
      await vscode.commands.executeCommand(command);
    }
  }

  dispose(): void {
    this.item.dispose();
  }
}
