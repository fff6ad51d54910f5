/** image-manager as it is, except that no event reaches the database: the baseline for the cost of events. */
import { createRequire } from 'node:module'

interface Client {
  query(...args: unknown[]): unknown
}

const require = createRequire(new URL('../packages/database/package.json', import.meta.url))
const { Client } = require('pg') as { Client: { prototype: Client } }
const { prototype } = Client
const query = prototype.query
prototype.query = function withoutEvents(this: Client, ...args: unknown[]) {
  const [text] = args
  const isEvent = typeof text === 'string' && text.startsWith('insert into "events"')
  return isEvent ? Promise.resolve({ command: 'INSERT', rowCount: 0, rows: [] }) : query.apply(this, args)
}

await import('../services/image-manager/src/main.ts')
