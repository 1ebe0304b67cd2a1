import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config.ts';
import type { FindingDetail, FindingView } from '../serve/contract.ts';
import { CommandError, ExitCode } from './exit-code.ts';
import { bySeverity, findingLines, findingText, print, printJson } from './output.ts';

/** Findings of a running collector, over its REST API like any other client. */

export interface FindingFilters {
  readonly status?: string;
  readonly rule?: string;
  readonly severity?: string;
  readonly principal?: string;
  readonly operation?: string;
  readonly since?: string;
  readonly until?: string;
}

const PAGE = 200;
const TIMEOUT_MS = 10_000;

export async function listFindings(config: Config, filters: FindingFilters, json: boolean): Promise<number> {
  const findings = await fetchFindings(apiOf(config), filters);
  if (json) printJson(findings);
  else if (findings.length === 0) print('no findings');
  else print(findings.sort(bySeverity).map(findingLines).join('\n\n'));
  return findings.length > 0 ? ExitCode.findings : ExitCode.clean;
}

export async function showFinding(config: Config, id: string, json: boolean): Promise<number> {
  const finding = await ask<FindingDetail>(apiOf(config), `/api/v1/findings/${encodeURIComponent(id)}`);
  if (json) printJson(finding);
  else print(findingText(finding));
  return ExitCode.clean;
}

/** Where a collector's API is, and what opens it. */
export interface ApiAccess {
  readonly url: string;
  readonly token: string;
}

/** Every page of the list. */
export async function fetchFindings(api: ApiAccess, filters: FindingFilters): Promise<FindingView[]> {
  const findings: FindingView[] = [];
  let cursor: string | null = null;
  do {
    const query = new URLSearchParams({ ...filters, limit: String(PAGE) });
    if (cursor !== null) query.set('cursor', cursor);
    const page: { items: readonly FindingView[]; nextCursor: string | null } = await ask(
      api,
      `/api/v1/findings?${query}`,
    );
    findings.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== null);
  return findings;
}

function apiOf(config: Config): ApiAccess {
  const file = join(config.dataDir, 'console-token');
  const token = config.consoleToken?.reveal() ?? (existsSync(file) ? readFileSync(file, 'utf8').trim() : '');
  const host = config.httpAddress.includes(':') ? `[${config.httpAddress}]` : config.httpAddress;
  return { url: `http://${host}:${config.httpPort}`, token };
}

async function ask<T>(api: ApiAccess, path: string): Promise<T> {
  let response: Response;
  try {
    response = await fetch(api.url + path, {
      headers: { authorization: `Bearer ${api.token}` },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch {
    throw new CommandError(
      ExitCode.server,
      `no collector answers at ${api.url}: start one with \`spanwarden serve\`, or name its port with --http-port`,
    );
  }
  if (response.status === 401 || response.status === 403) {
    throw new CommandError(
      ExitCode.server,
      `${api.url} refuses the token: set SPANWARDEN_CONSOLE_TOKEN, or --data-dir to the collector's data folder`,
    );
  }
  if (response.status === 404) throw new CommandError(ExitCode.usage, 'there is no such finding');
  if (response.status === 400) {
    const problem = (await response.json()) as { detail?: string; title?: string };
    throw new CommandError(ExitCode.usage, problem.detail ?? problem.title ?? 'the request was refused');
  }
  if (!response.ok) throw new CommandError(ExitCode.server, `${api.url} answered ${response.status}`);
  return (await response.json()) as T;
}
