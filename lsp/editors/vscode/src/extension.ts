// Cleanroom in VS Code: a client of `cleanroom lsp`, with a status, a key in the system's keyring, and licences at code.
import * as vscode from "vscode";
import {
  CloseAction,
  ErrorAction,
  LanguageClient,
  type LanguageClientOptions,
  State,
} from "vscode-languageclient/node";
import { Citations } from "./citations";
import { Key } from "./key";
import { Status } from "./status";

// A server that ends by itself is started again, but not for ever: so many times in so many milliseconds.
const RESTARTS = 4;
const WINDOW = 180_000;

const EXECUTE = "workspace/executeCommand";

let client: LanguageClient | undefined;

function settings(): vscode.WorkspaceConfiguration {
  return vscode.workspace.getConfiguration("cleanroom");
}

/** What the server is told: every setting but how it is started, and the key. */
async function told(key: Key): Promise<Record<string, unknown>> {
  const { command: _command, ...named } = JSON.parse(JSON.stringify(settings())) as Record<string, unknown>;
  // An empty key would fall back to the environment's.
  return { ...named, ...((await key.get()) ? { apiKey: await key.get() } : {}) };
}

function restarts(status: Status): NonNullable<LanguageClientOptions["errorHandler"]> {
  let ended: number[] = [];
  return {
    error: () => ({ action: ErrorAction.Continue, handled: true }),
    closed: () => {
      const now = Date.now();
      ended = [...ended.filter((moment) => now - moment < WINDOW), now];
      if (ended.length > RESTARTS) {
        const message = `the language server has ended ${ended.length} times: check cleanroom.command`;
        status.show({ busy: false, kind: "Error", message });
        return { action: CloseAction.DoNotRestart, handled: true };
      }
      status.show({ busy: false, kind: "Warning", message: "the language server ended and is being started again" });
      return { action: CloseAction.Restart, handled: true };
    },
  };
}

async function start(context: vscode.ExtensionContext, key: Key, status: Status, citations: Citations): Promise<void> {
  const [program, ...args] = settings().get<string[]>("command") ?? [];
  if (!program) {
    status.show({ busy: false, kind: "Error", message: "cleanroom.command is empty: name the language server" });
    return;
  }
  const started = new LanguageClient(
    "cleanroom-server",
    "Cleanroom",
    { command: program, args },
    {
      documentSelector: [{ scheme: "file" }, { scheme: "untitled" }, { scheme: "vscode-notebook-cell" }],
      initializationOptions: await told(key),
      errorHandler: restarts(status),
      initializationFailedHandler: () => false,
      outputChannelName: "Cleanroom",
      middleware: {
        // What was asked for an older text has no place in a newer one.
        provideInlineCompletionItems: async (document, position, asked, token, next) => {
          const version = document.version;
          const found = await next(document, position, asked, token);
          return document.version === version ? found : null;
        },
      },
    },
  );
  client = started;
  context.subscriptions.push(
    started.onNotification("cleanroom/didChangeStatus", (params: unknown) => status.show(params)),
    started.onNotification("cleanroom/citation", (params: unknown) => citations.show(params)),
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
  const key = new Key(context.secrets);
  const restart = async (): Promise<void> => {
    await stop();
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
    "cleanroom.clearCitations": () => citations.clear(vscode.window.activeTextEditor?.document.uri),
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
        await client.sendNotification("workspace/didChangeConfiguration", { settings: { cleanroom: await told(key) } });
      }
    }),
  );
  await start(context, key, status, citations);
}

export async function deactivate(): Promise<void> {
  await stop();
}
