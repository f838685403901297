// An editor without a screen, by vscode-languageserver-protocol: open documents, a cursor, ghost text. It knows no test.
//
//     node client.mjs FOLDER
//
// FOLDER holds node_modules. Calls come one a line, {"id", "call", "with"}; their answers, {"id", "result" or "error"},
// may come in another order. What the server tells by itself is {"told", "params"}, its end {"told": "ended"}.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

const require = createRequire(join(process.argv[2], "package.json"));
const lsp = require("vscode-languageserver-protocol/node");
const { TextDocument } = require("vscode-languageserver-textdocument");

const documents = new Map(); // by URI
let server; // the process of the language server
let connection;
let current; // the document that is typed in
let cursor = 0; // in UTF-16 code units from its beginning, as all of JavaScript counts
let pending; // cancels the newest request
let lastKey = 0;

// Seconds of the clock that all processes of a machine share.
const now = () => Number(process.hrtime.bigint()) / 1e9;
const say = (message) => process.stdout.write(JSON.stringify(message) + "\n");
const text = () => current.getText();

// Puts `inserted` in place of a range, here and at the server.
async function edit(range, inserted) {
  const start = current.offsetAt(range.start);
  TextDocument.update(current, [{ range, text: inserted }], current.version + 1);
  cursor = start + inserted.length;
  lastKey = now();
  await connection.sendNotification(lsp.DidChangeTextDocumentNotification.type, {
    textDocument: { uri: current.uri, version: current.version },
    contentChanges: [{ range, text: inserted }],
  });
}

const show = (document) =>
  connection.sendNotification(lsp.DidOpenTextDocumentNotification.type, {
    textDocument: {
      uri: document.uri,
      languageId: document.languageId,
      version: document.version,
      text: document.getText(),
    },
  });

const calls = {
  // Starts the server; what was open is opened again, as after a crash of it.
  async start({ command: [program, ...options], settings, folder }) {
    server = spawn(program, options, { stdio: ["pipe", "pipe", "inherit"] });
    server.on("exit", () => say({ told: "ended", params: null }));
    connection = lsp.createProtocolConnection(
      new lsp.StreamMessageReader(server.stdout),
      new lsp.StreamMessageWriter(server.stdin),
    );
    connection.onNotification((told, params) => say({ told, params }));
    connection.onError(() => {});
    connection.listen();
    const { capabilities } = await connection.sendRequest(lsp.InitializeRequest.type, {
      processId: process.pid,
      rootUri: null,
      workspaceFolders: folder ? [{ uri: folder, name: "project" }] : null,
      capabilities: {
        general: { positionEncodings: ["utf-16"] },
        textDocument: { inlineCompletion: {}, synchronization: {} },
      },
      initializationOptions: settings,
    });
    await connection.sendNotification(lsp.InitializedNotification.type, {});
    await Promise.all([...documents.values()].map(show));
    return { pid: server.pid, capabilities };
  },

  // Opens a document, with the cursor at its end.
  async open({ uri, language, text: content }) {
    current = TextDocument.create(uri, language, 1, content);
    documents.set(uri, current);
    cursor = content.length;
    await show(current);
  },

  // Types at the cursor; when.
  async type({ text: typed }) {
    const here = current.positionAt(cursor);
    await edit({ start: here, end: here }, typed);
    return lastKey;
  },

  // Asks for ghost text at the cursor; with the moments of the last key and of the answer.
  async ask({ invoked }) {
    pending = new lsp.CancellationTokenSource();
    const kind = invoked ? lsp.InlineCompletionTriggerKind.Invoked : lsp.InlineCompletionTriggerKind.Automatic;
    const parameters = {
      textDocument: { uri: current.uri },
      position: current.positionAt(cursor),
      context: { triggerKind: kind },
    };
    try {
      const found = await connection.sendRequest(lsp.InlineCompletionRequest.type, parameters, pending.token);
      return { items: found.items, key: lastKey, answered: now() };
    } catch (error) {
      if (error.code !== lsp.LSPErrorCodes.RequestCancelled) throw error;
      return { cancelled: true };
    }
  },

  // Cancels the newest request; when.
  async cancel() {
    const cancelled = now();
    pending.cancel();
    return cancelled;
  },

  // Puts an item in, as an editor does, and says so; `text` is the document's then.
  async accept({ item }) {
    await edit(item.range, item.insertText);
    await connection.sendRequest(lsp.ExecuteCommandRequest.type, item.command);
    return { text: text() };
  },

  async stop() {
    await connection.sendRequest(lsp.ShutdownRequest.type);
    await connection.sendNotification(lsp.ExitNotification.type);
  },
};

createInterface({ input: process.stdin }).on("line", async (line) => {
  const { id, call, with: parameters } = JSON.parse(line);
  try {
    say({ id, result: (await calls[call](parameters)) ?? null });
  } catch (error) {
    say({ id, error: String(error.message ?? error) });
  }
});
