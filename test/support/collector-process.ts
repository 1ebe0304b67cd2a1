import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts } from './free-ports.ts';
import { Metrics } from './metrics.ts';
import { collectorMain } from './repo-root.ts';

export interface CollectorSettings {
  readonly dataDir: string;
  /** Further environment, over the contract's own names. */
  readonly env?: Readonly<Record<string, string>>;
  /** Arguments for node itself, before the program. */
  readonly nodeArgs?: readonly string[];
  /** Program and its arguments; default `collector/dist/main.js serve`. */
  readonly program?: readonly string[];
  /** OTLP/gRPC, OTLP/HTTP, REST; free ones are chosen when absent. A restart keeps them by passing them on. */
  readonly ports?: CollectorPorts;
  /** Milliseconds until /readyz must answer 200; default 30,000. */
  readonly readyMs?: number;
}

export interface CollectorPorts {
  readonly grpc: number;
  readonly http: number;
  readonly api: number;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const TOKEN = 'test-token-0123456789abcdef0123456789abcdef';
const OUTPUT_CHARS_MAX = 200_000;

/** A collector in a process of its own, seen only through its outside contract: environment, sockets, signals. */
export class CollectorProcess {
  readonly ports: CollectorPorts;
  readonly #child: ChildProcess;
  readonly #exited: Promise<Exit>;
  #exit: Exit | undefined;
  #output = '';

  private constructor(child: ChildProcess, ports: CollectorPorts) {
    this.#child = child;
    this.ports = ports;
    const collect = (chunk: string): void => {
      this.#output = (this.#output + chunk).slice(-OUTPUT_CHARS_MAX);
    };
    child.stdout?.setEncoding('utf8').on('data', collect);
    child.stderr?.setEncoding('utf8').on('data', collect);
    this.#exited = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => {
        this.#exit = { code, signal };
        resolve(this.#exit);
      });
    });
    this.#exited.catch(() => undefined);
  }

  /** Starts the process and returns at once. */
  static async launch(settings: CollectorSettings): Promise<CollectorProcess> {
    const ports = settings.ports ?? (await choosePorts());
    const child = spawn(
      process.execPath,
      [...(settings.nodeArgs ?? []), ...(settings.program ?? [collectorMain, 'serve'])],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          ...process.env,
          NODE_OPTIONS: '',
          SPANWARDEN_DATA_DIR: settings.dataDir,
          SPANWARDEN_OTLP_GRPC_PORT: String(ports.grpc),
          SPANWARDEN_OTLP_HTTP_PORT: String(ports.http),
          SPANWARDEN_HTTP_PORT: String(ports.api),
          SPANWARDEN_CONSOLE_TOKEN: TOKEN,
          ...settings.env,
        },
      },
    );
    return new CollectorProcess(child, ports);
  }

  /** Starts the process and waits until it says that it is ready. */
  static async start(settings: CollectorSettings): Promise<CollectorProcess> {
    const collector = await CollectorProcess.launch(settings);
    await collector.untilReady(settings.readyMs ?? 30_000);
    return collector;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get exit(): Exit | undefined {
    return this.#exit;
  }

  /** The end of what the process printed. */
  get output(): string {
    return this.#output;
  }

  get exited(): Promise<Exit> {
    return this.#exited;
  }

  async untilReady(timeoutMs: number): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (Date.now() < deadline) {
      if (this.#exit !== undefined) throw new Error(`collector exited ${JSON.stringify(this.#exit)}\n${this.#output}`);
      if ((await this.readyStatus()) === 200) return;
      await sleep(15);
    }
    throw new Error(`collector not ready after ${timeoutMs} ms\n${this.#output}`);
  }

  /** HTTP status of /readyz, 0 when nothing answers. */
  async readyStatus(): Promise<number> {
    try {
      const answer = await fetch(this.url('/readyz'), { signal: AbortSignal.timeout(2_000) });
      await answer.arrayBuffer();
      return answer.status;
    } catch {
      return 0;
    }
  }

  url(path: string): string {
    return `http://127.0.0.1:${this.ports.api}${path}`;
  }

  async metrics(): Promise<Metrics> {
    const answer = await fetch(this.url('/metrics'), { signal: AbortSignal.timeout(10_000) });
    if (!answer.ok) throw new Error(`/metrics answered ${answer.status}`);
    return new Metrics(await answer.text());
  }

  /** GET of a REST resource as JSON, with the console's token; throws on any status but 200. */
  async rest<T>(path: string): Promise<T> {
    const answer = await this.restRaw(path);
    if (answer.status !== 200) throw new Error(`${path} answered ${answer.status}: ${answer.body.slice(0, 500)}`);
    return JSON.parse(answer.body) as T;
  }

  async restRaw(path: string): Promise<{ status: number; body: string }> {
    const answer = await fetch(this.url(path), {
      headers: { authorization: `Bearer ${TOKEN}` },
      signal: AbortSignal.timeout(30_000),
    });
    return { status: answer.status, body: await answer.text() };
  }

  /** All items of a paged list. */
  async restAll<T>(path: string): Promise<T[]> {
    const items: T[] = [];
    let cursor: string | null | undefined;
    do {
      const joint = path.includes('?') ? '&' : '?';
      const page: { items: T[]; nextCursor?: string | null } = await this.rest(
        cursor ? `${path}${joint}cursor=${encodeURIComponent(cursor)}` : path,
      );
      items.push(...page.items);
      cursor = page.nextCursor;
    } while (cursor);
    return items;
  }

  /** kill -9: no handler runs, nothing is flushed. */
  async kill(): Promise<Exit> {
    this.#child.kill('SIGKILL');
    return this.#exited;
  }

  /** SIGTERM and the time until the process is gone; SIGKILL after `timeoutMs`. */
  async stop(timeoutMs = 20_000): Promise<Exit & { readonly tookMs: number }> {
    const from = performance.now();
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), timeoutMs);
    const exit = await this.#exited;
    clearTimeout(timer);
    return { ...exit, tookMs: performance.now() - from };
  }
}

export async function choosePorts(): Promise<CollectorPorts> {
  const [grpc, http, api] = (await freePorts(3)) as [number, number, number];
  return { grpc, http, api };
}
