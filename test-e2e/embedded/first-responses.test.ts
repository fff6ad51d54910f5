import t from 'tap'
import { findWrongResponses } from '../harness/first-responses.ts'
import { watchListeners } from '../harness/listeners.ts'
import { askPort, testStarts } from '../harness/repeated-starts.ts'
import { startEmbedded } from '../harness/system.ts'

const PROBES = ['/readyz', '/auth-service/readyz', '/image-manager/readyz', '/registry-proxy/readyz']

testStarts(t, async (t, start) => {
  const { dataDir, admin, ports } = start
  const checks: Promise<string[]>[] = []
  const registry = watchListeners(dataDir, 1, ({ name, port }) => checks.push(askPort(start, name, port)))
  const env = { INTERNAL_PORT: String(ports.internal), ADMIN_PASSWORD: admin.password }
  const starting = startEmbedded(t, { dataDir, admin, port: ports.public, env })
  checks.push(
    askPort(start, 'all', ports.public),
    findWrongResponses(PROBES.map((path) => ({ port: ports.internal, path, expected: 200 as const }))),
  )
  const [system] = await Promise.all([starting, registry, ...checks])
  return { system, wrong: (await Promise.all(checks)).flat() }
})
