import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { stringify } from 'yaml'
import { runCommand } from '../../../test-e2e/harness/run-command.ts'
import type { Manifest } from '../../kubernetes/kustomize/manifest.ts'
import { manifestsOf } from '../../kubernetes/kustomize/manifest.ts'
import { findHelm } from '../../kubernetes/kustomize/tools.ts'
import { CHART } from '../generated.ts'

export const QUICKSTART = ['--values', join(CHART, 'values-quickstart.yaml')]

/** Why helm cannot be run, or false when it can. */
export async function helmIsMissing(): Promise<string | false> {
  return (await findHelm()) === undefined && 'no helm 3 or later'
}

/** Runs helm, and answers what it prints. */
export async function helm(...args: string[]): Promise<string> {
  return (await runCommand((await findHelm()) ?? '', args)).stdout
}

/** The objects that the chart makes with these values, in addition to those of the arguments. */
export async function helmTemplate(
  t: Test,
  values: object,
  args: readonly string[] = [],
): Promise<readonly Manifest[]> {
  const file = join(t.testdir(), 'values.yaml')
  await writeFile(file, stringify(values))
  const namespace = ['--namespace', 'registry-manager']
  return manifestsOf(await helm('template', 'release', CHART, ...namespace, ...args, '--values', file))
}
