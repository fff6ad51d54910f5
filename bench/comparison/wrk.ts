import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runCommand } from '../../test-e2e/harness/run-command.ts'

const SCRIPT = fileURLToPath(new URL('wrk.lua', import.meta.url))

export interface WrkRequest {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

export interface WrkJob {
  readonly origin: string
  /** The requests are sent in turn, all as GET. */
  readonly requests: readonly WrkRequest[]
  /** Length of each response's body. */
  readonly bodyBytes: number
  readonly connections: number
  readonly seconds: number
  /** A folder for the file of requests. */
  readonly folder: string
}

export interface WrkResult {
  /** Requests with a good status, each second. */
  readonly rate: number
  readonly failed: number
  readonly fault: string | undefined
}

/** The output of wrk.lua. */
interface Totals {
  readonly requests: number
  readonly bytes: number
  readonly seconds: number
  /** Responses with a status of 400 or more. */
  readonly refused: number
  /** Errors of connections, and timeouts. */
  readonly broken: number
}

/** Sends requests with wrk, which uses one thread. */
export async function runWrk(job: WrkJob): Promise<WrkResult> {
  const { origin, requests, bodyBytes, connections, seconds, folder } = job
  const { WRK_BINARY, WRK_LIBRARIES } = process.env
  if (!WRK_BINARY) throw new Error('wrk was not found: install it, or set WRK_BINARY to its path')
  const file = join(folder, 'wrk-requests')
  writeFileSync(file, requests.map(lineOf).join('\n'))
  const args = ['--threads=1', `--connections=${connections}`, `--duration=${seconds}s`, '--timeout=10s']
  const { stdout } = await runCommand(WRK_BINARY, [...args, `--script=${SCRIPT}`, origin], {
    env: { WRK_REQUESTS: file, ...(WRK_LIBRARIES && { LD_LIBRARY_PATH: WRK_LIBRARIES }) },
  })
  const printed = /^\{.*\}$/m.exec(stdout)?.[0]
  if (printed === undefined) throw new Error(`wrk printed no totals:\n${stdout}`)
  const totals = JSON.parse(printed) as Totals
  return { ...judge(totals, bodyBytes), rate: (totals.requests - totals.refused) / totals.seconds }
}

function lineOf({ path, headers }: WrkRequest): string {
  return [path, ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`)].join('\t')
}

/** wrk does not read bodies, so a response of the wrong kind shows in the number of received bytes. */
function judge({ requests, bytes, refused, broken }: Totals, bodyBytes: number) {
  const failed = refused + broken
  if (failed > 0) {
    return { failed, fault: `${refused} of ${requests} requests were refused, ${broken} connections failed` }
  }
  const mean = bytes / requests
  if (requests > 0 && mean >= bodyBytes) return { failed, fault: undefined }
  return {
    failed: Math.max(1, requests),
    fault: `${requests} responses have ${mean.toFixed(0)} bytes instead of more than ${bodyBytes}`,
  }
}
