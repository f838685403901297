// Licences that must be named with code that was taken over (cleanroom/citation): behind its first line, and as hints.
import * as vscode from "vscode";

interface Citation {
  uri: string;
  range: { start: vscode.Position; end: vscode.Position };
  license: string;
  url: string;
  decision?: string;
  accepted?: boolean;
}

export class Citations {
  private readonly hints = vscode.languages.createDiagnosticCollection("cleanroom");
  private readonly behind = vscode.window.createTextEditorDecorationType({
    after: { color: new vscode.ThemeColor("editorCodeLens.foreground"), margin: "0 0 0 2em" },
  });
  private readonly redraw = vscode.Disposable.from(
    vscode.window.onDidChangeVisibleTextEditors(() => this.draw()),
    vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => this.move(document, contentChanges)),
  );

  /** What was only shown, and not taken over, needs none. */
  show(params: unknown): void {
    const citation = params as Citation;
    if (citation?.accepted === false || !citation?.range) {
      return;
    }
    const uri = vscode.Uri.parse(citation.uri);
    const { start, end } = citation.range;
    const range = new vscode.Range(start.line, start.character, end.line, end.character);
    const hint = new vscode.Diagnostic(range, `${citation.license}: ${citation.url}`, vscode.DiagnosticSeverity.Hint);
    hint.source = "Cleanroom";
    if (citation.decision) {
      hint.code = citation.decision;
    }
    this.hints.set(uri, [...(this.hints.get(uri) ?? []), hint]);
    this.draw();
  }

  clear(uri: vscode.Uri | undefined): void {
    if (uri) {
      this.hints.delete(uri);
      this.draw();
    }
  }

  dispose(): void {
    vscode.Disposable.from(this.hints, this.behind, this.redraw).dispose();
  }

  /** Hints move with lines that come and go above them. */
  private move(document: vscode.TextDocument, changes: readonly vscode.TextDocumentContentChangeEvent[]): void {
    const hints = this.hints.get(document.uri);
    if (!hints?.length) {
      return;
    }
    const moved = hints.map((hint) => {
      let { start, end } = hint.range;
      for (const { range, text } of changes) {
        const lines = text.split("\n").length - 1 - (range.end.line - range.start.line);
        if (range.end.isBefore(start) && lines) {
          start = start.translate(Math.max(lines, -start.line));
          end = end.translate(Math.max(lines, -end.line));
        }
      }
      const copy = new vscode.Diagnostic(new vscode.Range(start, end), hint.message, hint.severity);
      return Object.assign(copy, { source: hint.source, code: hint.code });
    });
    this.hints.set(document.uri, moved);
    this.draw();
  }

  private draw(): void {
    for (const editor of vscode.window.visibleTextEditors) {
      const lines = (this.hints.get(editor.document.uri) ?? []).map((hint) => ({
        range: editor.document.lineAt(Math.min(hint.range.start.line, editor.document.lineCount - 1)).range,
        renderOptions: { after: { contentText: hint.message } },
      }));
      editor.setDecorations(this.behind, lines);
    }
  }
}
