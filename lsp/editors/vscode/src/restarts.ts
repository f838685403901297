// What happens when the language server ends by itself: it is started again, but not for ever. And who typed while it, or
// the service, was away is asked for then.
import * as vscode from "vscode";
import {
  CloseAction,
  type CloseHandlerResult,
  ErrorAction,
  type ErrorHandler,
  type ErrorHandlerResult,
} from "vscode-languageclient/node";
import type { Status } from "./status";

// So many times in so many milliseconds.
const RESTARTS = 4;
const WINDOW = 180_000;
// Whoever typed so many milliseconds before a server ended may have got no answer from it.
const UNANSWERED = 5_000;

export class Restarts implements ErrorHandler {
  /** Whether VS Code is made to ask by what is here, as if by a key: nobody has invoked it. */
  asksItself = false;
  private ended: number[] = [];
  // Since when there is none: now, when the first is about to be started.
  private away: number | undefined = Date.now();
  private edited: { document: vscode.TextDocument; at: number } | undefined;
  private readonly typing = vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
    if (contentChanges.length && document.uri.scheme !== "output") {
      this.edited = { document, at: Date.now() };
    }
  });

  constructor(
    private readonly status: Status,
    private readonly lost: () => void,
  ) {}

  error(): ErrorHandlerResult {
    return { action: ErrorAction.Continue, handled: true };
  }

  closed(): CloseHandlerResult {
    const now = Date.now();
    this.ended = [...this.ended.filter((moment) => now - moment < WINDOW), now];
    this.away ??= now;
    this.lost();
    if (this.ended.length > RESTARTS) {
      const message = `the language server has ended ${this.ended.length} times: check cleanroom.command`;
      this.status.show({ busy: false, kind: "Error", message });
      return { action: CloseAction.DoNotRestart, handled: true };
    }
    this.status.show({ busy: false, kind: "Warning", message: "the language server ended and is being started again" });
    return { action: CloseAction.Restart, handled: true };
  }

  /** The server speaks. Whoever typed meanwhile has been waiting: VS Code asks at keys alone. */
  async heard(ready: () => Promise<void>): Promise<void> {
    const away = this.away;
    this.away = undefined;
    if (away === undefined) {
      return;
    }
    await ready();
    const here = vscode.window.activeTextEditor?.document;
    if (this.edited && this.edited.document === here && this.edited.at > away - UNANSWERED) {
      await this.ask();
    }
  }

  /** The service is back: what was asked of it for a document while it was away would get an answer now. */
  async retry(params: unknown): Promise<void> {
    const { uri } = (params ?? {}) as { uri?: unknown };
    if (uri === vscode.window.activeTextEditor?.document.uri.toString()) {
      await this.ask();
    }
  }

  private async ask(): Promise<void> {
    this.asksItself = true;
    try {
      await vscode.commands.executeCommand("editor.action.inlineSuggest.trigger");
    } finally {
      this.asksItself = false;
    }
  }

  dispose(): void {
    this.typing.dispose();
  }
}
