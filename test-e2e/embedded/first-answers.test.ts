import t from 'tap'
import { findWrongAnswers } from '../harness/first-answers.ts'
import { watchListeners } from '../harness/listeners.ts'
import { askPort, testStarts } from '../harness/started-twice.ts'
import { startEmbedded } from '../harness/system.ts'

const PROBES = ['/readyz', '/auth-service/readyz', '/image-manager/readyz', '/registry-proxy/readyz']

testStarts(t, async (t, start) => {
  const { dataDir, admin, ports } = start
  const asked: Promise<string[]>[] = []
  const registry = watchListeners(dataDir, 1, ({ name, port }) => asked.push(askPort(start, name, port)))
  const env = { INTERNAL_PORT: String(ports.internal), ADMIN_PASSWORD: admin.password }
  const starting = startEmbedded(t, { dataDir, admin, port: ports.public, env })
  asked.push(
    askPort(start, 'all', ports.public),
    findWrongAnswers(PROBES.map((path) => ({ port: ports.internal, path, expected: 200 as const }))),
  )
  const [system] = await Promise.all([starting, registry, ...asked])
  return { system, wrong: (await Promise.all(asked)).flat() }
})
