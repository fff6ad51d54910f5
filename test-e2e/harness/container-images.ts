import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readFile, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findCommand } from './debian-packages.ts'
import type { DockerEngine } from './docker-engine.ts'
import { runCommand } from './run-command.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const CACHE = join(ROOT, '.cache')
const SUBSTITUTES = fileURLToPath(new URL('substitute-images', import.meta.url))
const NODE_LIBRARIES = ['libatomic.so.1']
const BUILD_SECONDS = 900

/** Commands that `makeBaseImages` needs, with their Debian packages. */
export const IMAGE_COMMANDS = { debootstrap: 'debootstrap' }

/**
 * Builds the base images of the Dockerfile without a pull: `debian:bookworm-slim` from Debian packages, and
 * `node:26-slim` from the installed Node and npm.
 */
export async function makeBaseImages({ docker }: DockerEngine): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'base-images-'))
  try {
    await docker(['import', await debianArchive(folder), 'debian:bookworm-slim'])
    await makeNodeImage(join(folder, 'node'), docker)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Builds an archive of a minimal Debian file system, once, because it takes a while. */
async function debianArchive(folder: string): Promise<string> {
  const archive = join(CACHE, 'debian-bookworm.tar')
  if (existsSync(archive)) return archive
  const [root, unfinished] = [join(folder, 'debian'), join(folder, 'debian.tar')]
  await runCommand('debootstrap', ['--variant=minbase', 'bookworm', root], { timeoutSeconds: BUILD_SECONDS })
  const left = ['var/cache', 'var/lib/apt/lists', 'usr/share/doc', 'usr/share/locale', 'usr/share/man']
  const excluded = left.map((path) => `--exclude=./${path}/*`)
  await runCommand('tar', ['-C', root, ...excluded, '-cf', unfinished, '.'])
  await mkdir(CACHE, { recursive: true })
  await cp(unfinished, `${archive}.${process.pid}`)
  await rename(`${archive}.${process.pid}`, archive)
  return archive
}

async function makeNodeImage(context: string, docker: DockerEngine['docker']): Promise<void> {
  const bin = join(context, 'usr/local/bin')
  const modules = join(context, 'usr/local/lib/node_modules')
  await Promise.all([bin, modules].map((folder) => mkdir(folder, { recursive: true })))
  await cp(process.execPath, join(bin, 'node'))
  const npm = dirname(dirname(await realpath(findCommand('npm')!)))
  await cp(npm, join(modules, 'npm'), { recursive: true })
  await symlink('../lib/node_modules/npm/bin/npx-cli.js', join(bin, 'npx'))
  const { stdout } = await runCommand('ldconfig', ['-p'])
  for (const library of NODE_LIBRARIES) {
    const entry = stdout.split('\n').find((line) => line.trim().startsWith(library))
    if (entry === undefined) continue
    // Uses the real path: /lib is a link, and a folder would replace the link.
    const path = await realpath(entry.split(' => ')[1]!)
    await cp(path, join(context, dirname(path), library))
  }
  // The build trusts the same certificate authorities as this machine.
  const authorities = process.env['NODE_EXTRA_CA_CERTS']
  await writeFile(join(context, 'authorities.pem'), authorities ? await readFile(authorities) : '')
  await writeFile(
    join(context, 'Dockerfile'),
    'FROM debian:bookworm-slim\nCOPY . /\nENV NODE_EXTRA_CA_CERTS=/authorities.pem\n',
  )
  await docker(['build', '--tag', 'node:26-slim', context], { timeoutSeconds: BUILD_SECONDS })
}

/** Builds the product's image on the host network. */
export async function buildImage({ docker }: DockerEngine, tag: string): Promise<void> {
  const args = [
    'build',
    '--network=host',
    '--file',
    join(ROOT, 'deploy/docker/Dockerfile'),
    '--tag',
    tag,
    ROOT,
  ]
  await docker(args, { timeoutSeconds: BUILD_SECONDS })
}

/** Builds the substitutes for the official images. Returns the settings with which compose uses them. */
export async function buildSubstituteImages({ docker }: DockerEngine): Promise<Record<string, string>> {
  const images: Record<string, string> = {}
  for (const name of ['postgres', 'nginx', 'registry']) {
    const tag = `substitute-for-${name}`
    await docker(['build', '--network=host', '--target', name, '--tag', tag, SUBSTITUTES], {
      timeoutSeconds: BUILD_SECONDS,
    })
    images[`${name.toUpperCase()}_IMAGE`] = tag
  }
  return images
}
