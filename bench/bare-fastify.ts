/** The least that Fastify can do: one route, one JSON answer of BYTES bytes. */
import { createRequire } from 'node:module'

interface BareApp {
  get(path: string, handler: () => Promise<object>): void
  listen(address: { host: string; port: number }): Promise<string>
}

// The bench is no package of the workspace: it takes the product's own Fastify.
const require = createRequire(new URL('../packages/http/package.json', import.meta.url))
const Fastify = require('fastify') as () => BareApp

const envelope = JSON.stringify({ token: '' }).length
const answer = { token: 'x'.repeat(Number(process.env['BYTES']) - envelope) }
const app = Fastify()
app.get('/auth/v2/token', async () => answer)
await app.listen({ host: '127.0.0.1', port: Number(process.env['PORT']) })
