import { join } from 'node:path'
import t from 'tap'
import { findWrongResponses } from '../harness/first-responses.ts'
import { waitForFile, watchListeners } from '../harness/listeners.ts'
import { REPLICAS } from '../harness/stack-processes.ts'
import { askInternalPort, askPort, testStarts } from '../harness/repeated-starts.ts'
import { startStack } from '../harness/system.ts'

testStarts(t, async (t, start) => {
  const { dataDir, admin, ports } = start
  const checks: Promise<string[]>[] = []
  // The replicas and the registry.
  const listeners = watchListeners(dataDir, REPLICAS.length + 1, (listener) => {
    checks.push(askPort(start, listener.name, listener.port), askInternalPort(start, listener))
  })
  const settings = {
    HTTPS_PORT: String(ports.public),
    REGISTRY_PORT: String(ports.second),
    HTTP_PORT: String(ports.plain),
    INTERNAL_PORT: String(ports.internal),
    ADMIN_PASSWORD: admin.password,
  }
  const starting = startStack(t, { dataDir, admin, env: settings })
  checks.push(
    askPort(start, 'all', ports.plain),
    findWrongResponses(
      REPLICAS.map((name) => ({ port: ports.internal, path: `/${name}/readyz`, expected: 200 as const })),
    ),
    waitForFile(join(dataDir, 'tls', 'ca.crt')).then(async (authority) =>
      (
        await Promise.all([ports.public, ports.second].map((port) => askPort(start, 'all', port, authority)))
      ).flat(),
    ),
  )
  const [system] = await Promise.all([starting, listeners, ...checks])
  return { system, wrong: (await Promise.all(checks)).flat() }
})
