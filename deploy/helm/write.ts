/** `npm run helm`: brings the Helm chart and the PrometheusRule to what deploy/kubernetes and deploy/monitoring say. */
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
// Files that are not generated any more go; _helpers.tpl and NOTES.txt are written by hand.
for (const path of await readdir(CHART, { recursive: true })) {
  if (/^(templates\/.*\.yaml|files\/.*)$/.test(path)) await rm(join(CHART, path))
}
for (const [path, text] of files) {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, text)
}
process.stdout.write(`wrote ${files.size} files below ${CHART}\n`)
