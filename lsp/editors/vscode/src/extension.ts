// Cleanroom in VS Code: a client of `cleanroom lsp`, with a status, a key in the system's keyring, and licences at code.
import * as vscode from "vscode";
import { LanguageClient, State } from "vscode-languageclient/node";
import { Citations } from "./citations";
import { Key } from "./key";
import { Restarts } from "./restarts";
import { Status } from "./status";

const EXECUTE = "workspace/executeCommand";

let client: LanguageClient | undefined;
let restarts: Restarts | undefined;

function settings(): vscode.WorkspaceConfiguration {
  return vscode.workspace.getConfiguration("cleanroom");
}

/** What the server is told: every setting but how it is started, and the key. */
function told(key: Key): Record<string, unknown> {
  const { command: _command, ...named } = JSON.parse(JSON.stringify(settings())) as Record<string, unknown>;
  // An empty key would fall back to the environment's.
  return { ...named, ...(key.current ? { apiKey: key.current } : {}) };
}

async function start(context: vscode.ExtensionContext, key: Key, status: Status, citations: Citations): Promise<void> {
  const [program, ...args] = settings().get<string[]>("command") ?? [];
  if (!program) {
    status.show({ busy: false, kind: "Error", message: "cleanroom.command is empty: name the language server" });
    return;
  }
  const watch = new Restarts(status, () => citations.clearAll());
  restarts = watch;
  const started = new LanguageClient(
    "cleanroom-server",
    "Cleanroom",
    {
      command: program,
      args,
      // Read at every start, as the options below.
      options: {
        get env() {
          return key.environment;
        },
      },
    },
    {
      documentSelector: [{ scheme: "file" }, { scheme: "untitled" }, { scheme: "vscode-notebook-cell" }],
      // Asked for at every start: one that ended must not take up with settings and a key of long ago.
      initializationOptions: () => told(key),
      errorHandler: watch,
      initializationFailedHandler: () => false,
      outputChannelName: "Cleanroom",
      middleware: {
        // What was asked for an older text has no place in a newer one.
        provideInlineCompletionItems: async (document, position, asked, token, next) => {
          const version = document.version;
          const kind = watch.asksItself ? vscode.InlineCompletionTriggerKind.Automatic : asked.triggerKind;
          const found = await next(document, position, { ...asked, triggerKind: kind }, token);
          return document.version === version ? found : null;
        },
      },
    },
  );
  client = started;
  context.subscriptions.push(
    started.onNotification("cleanroom/didChangeStatus", (params: unknown) => {
      status.show(params, key.signedOut);
      void watch.heard(() => started.start());
    }),
    started.onNotification("cleanroom/retry", (params: unknown) => watch.retry(params)),
    started.onNotification("cleanroom/citations", (params: unknown) => citations.show(params)),
    started.onDidChangeState(({ newState }) => {
      if (newState === State.Stopped && status.kind === "Normal") {
        status.show({ busy: false, kind: "Inactive", message: "no language server runs" });
      }
    }),
  );
  try {
    await started.start();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const remedy = "install Cleanroom, or name it in the setting cleanroom.command";
    status.show({ busy: false, kind: "Error", message: `${program} cannot be started (${reason}): ${remedy}` });
  }
}

async function stop(): Promise<void> {
  const running = client;
  client = undefined;
  restarts?.dispose();
  restarts = undefined;
  try {
    await running?.dispose();
  } catch {
    // One that never came up cannot be stopped.
  }
}

interface Answer {
  kind?: string;
  message?: string;
}

/** Runs a command of the server's. Undefined where no server runs. */
async function execute(command: string, ...args: unknown[]): Promise<Answer | null | undefined> {
  if (!client?.isRunning()) {
    return undefined;
  }
  return client.sendRequest<Answer | null>(EXECUTE, { command, arguments: args });
}

function report(answer: Answer | null | undefined): void {
  if (answer?.kind && answer.kind !== "Normal") {
    void vscode.window.showWarningMessage(`Cleanroom: ${answer.message}`);
  }
}

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const status = new Status();
  const citations = new Citations();
  const key = new Key(context.secrets, context.globalState);
  const restart = async (): Promise<void> => {
    await stop();
    citations.clearAll();
    await start(context, key, status, citations);
  };
  const commands: Record<string, () => unknown> = {
    "cleanroom.signIn": async () => {
      const typed = await key.ask();
      if (typed) {
        report(await execute("cleanroom/signIn", typed));
      }
    },
    "cleanroom.signOut": async () => {
      await key.forget();
      await execute("cleanroom/signOut");
    },
    "cleanroom.showStatus": () => status.explain(),
    // The server shows it.
    "cleanroom.showDecision": async () => {
      if (!(await execute("cleanroom/showDecision"))) {
        void vscode.window.showInformationMessage("Cleanroom: there was no completion yet, and so no decision");
      }
    },
    "cleanroom.restart": restart,
    "cleanroom.clearCitations": async () => {
      const uri = vscode.window.activeTextEditor?.document.uri;
      if (uri) {
        citations.clear(uri);
        await execute("cleanroom/clearCitations", uri.toString());
      }
    },
  };
  for (const [name, run] of Object.entries(commands)) {
    context.subscriptions.push(vscode.commands.registerCommand(name, run));
  }
  context.subscriptions.push(
    status,
    citations,
    vscode.workspace.onDidCloseTextDocument((document) => citations.clear(document.uri)),
    vscode.workspace.onDidChangeConfiguration(async (change) => {
      if (change.affectsConfiguration("cleanroom.command")) {
        await restart();
      } else if (change.affectsConfiguration("cleanroom") && client?.isRunning()) {
        await client.sendNotification("workspace/didChangeConfiguration", { settings: { cleanroom: told(key) } });
      }
    }),
  );
  await key.load();
  await start(context, key, status, citations);
}

export async function deactivate(): Promise<void> {
  await stop();
}
