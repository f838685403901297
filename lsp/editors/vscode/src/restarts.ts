// What happens when the language server ends by itself: it is started again, but not for ever.
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

export class Restarts implements ErrorHandler {
  private ended: number[] = [];
  private away = false;
  private missed: vscode.TextDocument | undefined;
  private readonly typing = vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
    if (this.away && contentChanges.length) {
      this.missed = document;
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
    this.away = true;
    this.lost();
    if (this.ended.length > RESTARTS) {
      const message = `the language server has ended ${this.ended.length} times: check cleanroom.command`;
      this.status.show({ busy: false, kind: "Error", message });
      return { action: CloseAction.DoNotRestart, handled: true };
    }
    this.status.show({ busy: false, kind: "Warning", message: "the language server ended and is being started again" });
    return { action: CloseAction.Restart, handled: true };
  }

  /** The server speaks. Whoever typed while there was none has been waiting since: VS Code asks at keys alone. */
  heard(): void {
    const missed = this.missed;
    const waiting = this.away && missed !== undefined && vscode.window.activeTextEditor?.document === missed;
    this.away = false;
    this.missed = undefined;
    if (waiting) {
      void vscode.commands.executeCommand("editor.action.inlineSuggest.trigger", { explicit: false });
    }
  }

  dispose(): void {
    this.typing.dispose();
  }
}
