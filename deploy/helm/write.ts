/** `npm run helm`: generates the Helm chart and the PrometheusRule from deploy/kubernetes and deploy/monitoring. */
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { renderInto } from '../kubernetes/kustomize/render.ts'
import { CHART, generatedChart, prometheusRule } from './generated.ts'

await writeFile(...(await prometheusRule()))
const work = await mkdtemp(join(tmpdir(), 'registry-manager-helm-'))
const { overlays } = await renderInto(work)
await rm(work, { recursive: true })
const files = await generatedChart(overlays)
// Removes files that are no longer generated; _helpers.tpl and NOTES.txt are written by hand.
for (const path of await readdir(CHART, { recursive: true })) {
  if (/^(templates\/.*\.yaml|files\/.*)$/.test(path)) await rm(join(CHART, path))
}
for (const [path, text] of files) {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, text)
}
process.stdout.write(`wrote ${files.size} files below ${CHART}\n`)
