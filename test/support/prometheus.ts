import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort } from './free-port.ts';
import { ROOT } from './paths.ts';

/** What the project ships for it. */
export const SHIPPED = path.join(ROOT, 'deploy/prometheus');

type Series = { readonly labels: Record<string, string>; readonly value: number };

type Answer = {
  readonly status: string;
  readonly error?: string;
  readonly data: {
    readonly result: { metric: Record<string, string>; value: [number, string]; values: [number, string][] }[];
  };
};

type Rule = {
  readonly name: string;
  readonly health: 'unknown' | 'ok' | 'err';
  readonly lastError?: string;
  /** Of an alert. */
  readonly state?: 'inactive' | 'pending' | 'firing';
};

/**
 * How often it scrapes and evaluates. Of a process that ends, what it has counted since the last scrape is never seen, and increase() guesses it:
 * where ten end within half a minute, scrapes have to be close for a sum to be right to two in a hundred.
 */
const INTERVAL = '200ms';

/** Prometheus with the configuration and rules that the project ships. Whoever started it has to stop it. */
export class Prometheus {
  readonly #url: string;
  readonly #folder: string;
  readonly #child: ChildProcess;
  #errors = '';

  /** @param service its address */
  static async scraping(service: string): Promise<Prometheus> {
    if (spawnSync('prometheus', ['--version']).status !== 0) {
      throw new Error('There is no Prometheus: install it, on Debian with "apt-get install prometheus".');
    }
    const prometheus = new Prometheus(await freePort(), service);
    await prometheus.#isReady();
    return prometheus;
  }

  private constructor(port: number, service: string) {
    this.#url = `http://127.0.0.1:${port}`;
    this.#folder = mkdtempSync(path.join(tmpdir(), 'prometheus-'));
    cpSync(SHIPPED, this.#folder, { recursive: true });
    const config = path.join(this.#folder, 'prometheus.yml');
    const shipped = readFileSync(config, 'utf8');
    writeFileSync(
      config,
      shipped
        .replaceAll(/_interval: \d+s/g, (setting) => setting.replace(/\d+s/, INTERVAL))
        .replace('127.0.0.1:3000', new URL(service).host),
    );
    const options = [`--config.file=${config}`, `--storage.tsdb.path=${this.#folder}/data`, '--log.level=warn'];
    this.#child = spawn('prometheus', [...options, `--web.listen-address=127.0.0.1:${port}`], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errors += text;
    });
  }

  /** What an expression is now, or was then. */
  async query(expression: string, atMs = Date.now()): Promise<Series[]> {
    const { data } = await this.#ask('query', { query: expression, time: String(atMs / 1000) });
    return data.result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
  }

  /** What an expression with one series was, each second. */
  async history(expression: string, fromMs: number, toMs: number): Promise<number[]> {
    const times = { start: String(fromMs / 1000), end: String(toMs / 1000), step: '1' };
    const { data } = await this.#ask('query_range', { query: expression, ...times });
    return (data.result[0]?.values ?? []).map(([, value]) => Number(value));
  }

  async rules(): Promise<Rule[]> {
    const response = await fetch(`${this.#url}/api/v1/rules`);
    const { data } = (await response.json()) as { data: { groups: { rules: Rule[] }[] } };
    return data.groups.flatMap(({ rules }) => rules);
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await ended;
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #ask(what: string, parameters: Record<string, string>): Promise<Answer> {
    const response = await fetch(`${this.#url}/api/v1/${what}?${new URLSearchParams(parameters)}`);
    const answer = (await response.json()) as Answer;
    if (answer.status !== 'success') throw new Error(`${parameters.query}: ${answer.error}`);
    return answer;
  }

  async #isReady(): Promise<void> {
    for (;;) {
      if (this.#child.exitCode !== null) throw new Error(`Prometheus ended: ${this.#errors}`);
      const isUp = await fetch(`${this.#url}/-/ready`).then(
        ({ ok }) => ok,
        () => false,
      );
      if (isUp) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** @param input what it reads from its standard input */
export function promtool(args: readonly string[], input = ''): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const child = execFile('promtool', args, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code ?? 1) : 0, output: stdout + stderr });
    });
    child.stdin?.end(input);
  });
}
