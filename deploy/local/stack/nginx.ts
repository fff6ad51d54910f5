import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startChild } from '../child-process.ts'
import type { Running } from '../child-process.ts'

const TEMPLATES = new URL('../../nginx/templates/', import.meta.url)
const SUFFIX = '.template'

/** Files of a configuration, by name. */
export type ConfigFiles = Readonly<Record<string, string>>

export interface NginxOptions {
  readonly name: string
  readonly binary: string
  readonly libraries: string | undefined
  /** Folder of the configuration and of nginx's temporary files. */
  readonly folder: string
  /** The main file. */
  readonly config: string
  /** The files that the main file includes. */
  readonly includes?: ConfigFiles
  readonly log: string
  readonly isReady: () => Promise<boolean>
}

/** Reads the templates of the public nginx, by the names of the files that they become. */
export function readTemplates(): ConfigFiles {
  const names = readdirSync(TEMPLATES).filter((name) => name.endsWith(SUFFIX))
  const text = (name: string) => readFileSync(new URL(name, TEMPLATES), 'utf8')
  return Object.fromEntries(names.map((name) => [name.slice(0, -SUFFIX.length), text(name)]))
}

/**
 * Replaces variables in templates as envsubst does: `${NAME}` and nothing else. Throws if a template uses a variable
 * without a value, and if no template uses a given variable.
 */
export function renderTemplates(
  templates: ConfigFiles,
  variables: Readonly<Record<string, string>>,
): ConfigFiles {
  const used = new Set<string>()
  const render = (file: string, template: string) =>
    template.replaceAll(/\$\{([A-Z][A-Z0-9_]*)\}/g, (_, name: string) => {
      const value = variables[name]
      if (value === undefined) throw new Error(`the template of ${file} uses ${name}, which is not set`)
      used.add(name)
      return value
    })
  const rendered = Object.entries(templates).map(([file, template]) => [file, render(file, template)])
  const unused = Object.keys(variables).filter((name) => !used.has(name))
  if (unused.length > 0) throw new Error(`no template uses ${unused.join(', ')}`)
  return Object.fromEntries(rendered)
}

/** Returns the servers of an `upstream`. With max_fails=0 nginx retries a failed replica at the next request. */
export function servers(ports: readonly number[]): string {
  return ports.map((port) => `server 127.0.0.1:${port} max_fails=0;`).join(' ')
}

/**
 * nginx's workers run as the user of all other processes, because they read the registry's files. A master that does
 * not run as root cannot change the user, and warns if it is told to.
 */
function userDirective(): string {
  return process.getuid?.() === 0 ? ' user root;' : ''
}

/** Starts nginx with a configuration. Throws with the end of its log if it does not become ready. */
export function startNginx(options: NginxOptions, onDeath: (reason: string) => void): Promise<Running> {
  const { name, binary, libraries, folder, config, includes = {}, log, isReady } = options
  mkdirSync(join(folder, 'tmp'), { recursive: true })
  const main = `${name}.conf`
  for (const [file, text] of Object.entries({ ...includes, [main]: config })) {
    writeFileSync(join(folder, file), text, { mode: 0o600 })
  }
  return startChild(
    {
      name,
      command: binary,
      // Overrides the compiled-in prefix, log and user.
      args: ['-p', folder, '-c', join(folder, main), '-e', 'stderr', '-g', `daemon off;${userDirective()}`],
      env: libraries ? { LD_LIBRARY_PATH: libraries } : {},
      // SIGQUIT lets requests finish.
      stopBy: [
        ['SIGQUIT', 750],
        ['SIGTERM', 500],
      ],
      log,
      isReady,
    },
    onDeath,
  )
}
