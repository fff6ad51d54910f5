import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { parse } from 'yaml'
import { createMetrics, createServer, health } from '../../../packages/http/src/index.ts'
import { createRetentionMetrics } from '../../../services/image-manager/src/retention/retention-metrics.ts'
import { runCommand } from '../../../test-e2e/harness/run-command.ts'
import { unpackPackage } from '../../local/debian-package.js'
import { findCommand } from '../../../test-e2e/harness/debian-packages.ts'

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const [ALERTS, DASHBOARD] = [path('../alerts.yaml'), path('../grafana-dashboard.json')]

interface Alert {
  readonly alert: string
  readonly expr: string
}

const alerts: readonly Alert[] = parse(readFileSync(ALERTS, 'utf8')).groups[0].rules
const dashboard = JSON.parse(readFileSync(DASHBOARD, 'utf8'))
/** Every query of the dashboard, with Grafana's variables replaced. */
const queries: readonly string[] = dashboard.panels.flatMap(({ targets }: { targets: { expr: string }[] }) =>
  targets.map(({ expr }) => expr.replaceAll('$__rate_interval', '5m').replaceAll('$service', '.*')),
)

/** The path of promtool: an installed one, or the one of Debian's package, unpacked without installing. */
function findPromtool(): string | undefined {
  const installed = findCommand('promtool')
  if (installed !== undefined) return installed
  const folder = unpackPackage('prometheus', process.env, t.comment)
  return folder === undefined ? undefined : join(folder, 'usr', 'bin', 'promtool')
}

const promtool = findPromtool()
const missing = promtool === undefined && 'promtool is not available'

t.test('every alert fires on its condition and not otherwise', { skip: missing }, async (t) => {
  const { stdout } = await runCommand(promtool ?? '', ['test', 'rules', path('alerts.promtool.yaml')])
  t.match(stdout, 'SUCCESS')
  const tested = readFileSync(path('alerts.promtool.yaml'), 'utf8')
  for (const { alert } of alerts)
    t.match(tested, `alertname: ${alert}`, `alerts.promtool.yaml tests ${alert}`)
})

t.test('every query of the dashboard is valid PromQL', { skip: missing }, async (t) => {
  const rules = queries.map((expr, at) => ({ record: `query:${at}`, expr }))
  const file = join(t.testdir(), 'queries.json')
  writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }))
  await runCommand(promtool ?? '', ['check', 'rules', file])
  t.ok(queries.length > 10)
  writeFileSync(file, JSON.stringify({ groups: [{ name: 'a', rules: [{ record: 'a', expr: 'sum(' }] }] }))
  await t.rejects(runCommand(promtool ?? '', ['check', 'rules', file]), 'promtool reports invalid PromQL')
})

t.test('the services export every metric that the dashboard and the alerts query', async (t) => {
  const metrics = createMetrics('auth-service')
  createRetentionMetrics(metrics.registry)
  const app = createServer({ name: 'auth-service', logLevel: 'silent', metrics })
  await app.register(health, { metrics, checks: { revocations: async () => 'ok' as const } })
  t.teardown(() => app.close())
  await app.inject('/livez')
  const text = (await app.inject('/metrics')).body
  const measured = new Set(['up', ...[...text.matchAll(/^([a-z_0-9]+)(?:\{|\s)/gm)].map(([, name]) => name)])
  for (const expr of [...queries, ...alerts.map(({ expr }) => expr)]) {
    const names = [...expr.matchAll(/([a-z_0-9]+)\{/g)].map(([, name]) => name)
    t.ok(names.length > 0, `${expr} queries a metric`)
    for (const name of names) t.ok(measured.has(name), `the services export ${name}`)
  }
})

/** The selector that excludes requests of Prometheus, of probes and between services. */
const CLIENTS_ONLY = 'route!~"/internal/.*|/livez|/readyz|/metrics"'

t.test('request rates count only requests of clients', async (t) => {
  const all = [
    ...queries,
    ...alerts.filter(({ alert }) => alert === 'RegistryManagerErrors').map(({ expr }) => expr),
  ]
  const rates = all.flatMap((expr) => [...expr.matchAll(/http_request_duration_seconds_\w+\{([^}]*)\}/g)])
  const ofClients = rates.map(([, labels = '']) => labels).filter((labels) => !labels.includes('/token"'))
  t.equal(ofClients.filter((labels) => labels.includes(CLIENTS_ONLY)).length, 8)
  t.same(
    ofClients.filter((labels) => !labels.includes(CLIENTS_ONLY)),
    ['service=~".*", status=~"401|403|429"', 'service=~".*", status=~"5.."'],
    'except in the panels of refused requests and of errors by route',
  )
})

t.test('no two panels of the dashboard share an id or a place', async (t) => {
  const panels: { id: number; title: string; gridPos: { x: number; y: number; w: number; h: number } }[] =
    dashboard.panels
  t.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
  const [taken, overlapping] = [new Set<string>(), new Set<string>()]
  for (const { title, gridPos } of panels) {
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
        if (x > 23 || taken.has(`${x},${y}`)) overlapping.add(title)
        taken.add(`${x},${y}`)
      }
    }
  }
  t.same(overlapping, new Set())
})

t.test('docs/operating.md explains what to do about each alert', async (t) => {
  const guide = readFileSync(path('../../../docs/operating.md'), 'utf8')
  for (const { alert } of alerts) t.match(guide, `\`${alert}\``)
})
