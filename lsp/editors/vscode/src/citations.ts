// Licences that must be named with code that was taken over: behind its first line, and as hints. Where they stand is
// the server's to say (cleanroom/citations), which follows every edit.
import * as vscode from "vscode";

interface Place {
  line: number;
  character: number;
}

interface Citation {
  range: { start: Place; end: Place };
  license: string;
  url: string;
  decision?: string;
}

export class Citations {
  private readonly hints = vscode.languages.createDiagnosticCollection("cleanroom");
  private readonly behind = vscode.window.createTextEditorDecorationType({
    after: { color: new vscode.ThemeColor("editorCodeLens.foreground"), margin: "0 0 0 2em" },
  });
  private readonly redraw = vscode.window.onDidChangeVisibleTextEditors(() => this.draw());

  /** All that stand in one document, from now on. */
  show(params: unknown): void {
    const { uri, citations } = (params ?? {}) as { uri?: unknown; citations?: unknown };
    if (typeof uri === "string" && Array.isArray(citations)) {
      this.hints.set(vscode.Uri.parse(uri), (citations as Citation[]).map(hint));
      this.draw();
    }
  }

  clear(uri: vscode.Uri): void {
    this.hints.delete(uri);
    this.draw();
  }

  /** Without a server nobody knows where they stand. */
  clearAll(): void {
    this.hints.clear();
    this.draw();
  }

  dispose(): void {
    vscode.Disposable.from(this.hints, this.behind, this.redraw).dispose();
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

function hint({ range: { start, end }, license, url, decision }: Citation): vscode.Diagnostic {
  const range = new vscode.Range(start.line, start.character, end.line, end.character);
  const made = new vscode.Diagnostic(range, `${license}: ${url}`, vscode.DiagnosticSeverity.Hint);
  made.source = "Cleanroom";
  if (decision) {
    made.code = decision;
  }
  return made;
}
