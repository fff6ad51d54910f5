/** A minimal Fastify server: one route, one JSON response of BYTES bytes. */
import { createRequire } from 'node:module'

interface BareApp {
  get(path: string, handler: () => Promise<object>): void
  listen(address: { host: string; port: number }): Promise<string>
}

// The benchmarks are no package of the workspace, so this file loads the Fastify of packages/http.
const require = createRequire(new URL('../packages/http/package.json', import.meta.url))
const Fastify = require('fastify') as () => BareApp

const envelope = JSON.stringify({ token: '' }).length
const response = { token: 'x'.repeat(Number(process.env['BYTES']) - envelope) }
const app = Fastify()
app.get('/auth/v2/token', async () => response)
await app.listen({ host: '127.0.0.1', port: Number(process.env['PORT']) })
