import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from '../deploy/local/free-port.ts'
import { startChild } from './child.ts'
import { temporaryFolder } from './cleanup.ts'
import type { Table } from './table.ts'
import { formatRatio, median } from './table.ts'

const START = fileURLToPath(new URL('../deploy/local/start.js', import.meta.url))
const LATER = 3

/** Measures the time until the program of `npm start` serves. */
export async function measureStarts(): Promise<Table> {
  const folder = await temporaryFolder()
  const start = async () => {
    const port = await freePort()
    const begin = performance.now()
    const { stop } = await startChild({
      name: 'npm start',
      command: process.execPath,
      args: [START],
      env: {
        DATA_DIR: join(folder, 'data'),
        PORT: String(port),
        REGISTRY_BINARY: process.env['REGISTRY_BINARY'],
      },
      log: join(folder, 'log'),
      isReady: (printed) => printed.includes('Ctrl-C stops'),
    })
    const seconds = (performance.now() - begin) / 1000
    await stop()
    return seconds
  }
  const first = await start()
  const later: number[] = []
  for (let round = 0; round < LATER; round += 1) later.push(await start())
  const row = (what: string, seconds: number) => [
    what,
    `${seconds.toFixed(2)} s`,
    formatRatio(seconds / first),
  ]
  return {
    title:
      'starts: the program of `npm start` until it serves (PGlite, packages and registry binary are installed)',
    columns: ['', 'time', 'ratio to first start'],
    rows: [row('first start, DATA_DIR empty', first), row(`later starts, median of ${LATER}`, median(later))],
    faults: [],
  }
}
