import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startChild } from '../child.ts'
import type { Running } from '../child.ts'

export interface NginxOptions {
  readonly name: string
  readonly binary: string
  readonly libraries: string | undefined
  /** Folder of its configuration and of what it writes. */
  readonly folder: string
  /** A whole nginx.conf. */
  readonly config: string
  readonly log: string
  readonly isReady: () => Promise<boolean>
}

/**
 * Puts variables into a template as envsubst does: `${NAME}`, and nothing else. Throws naming a variable that the
 * template has and that was not given, or the other way round.
 */
export function renderTemplate(template: string, variables: Readonly<Record<string, string>>): string {
  const used = new Set<string>()
  const rendered = template.replaceAll(/\$\{([A-Z][A-Z0-9_]*)\}/g, (_, name: string) => {
    const value = variables[name]
    if (value === undefined) throw new Error(`the template wants ${name}`)
    used.add(name)
    return value
  })
  const unused = Object.keys(variables).filter((name) => !used.has(name))
  if (unused.length > 0) throw new Error(`the template does not know ${unused.join(', ')}`)
  return rendered
}

/** The replicas of a service as nginx lists them. What does not answer is tried again with the next request. */
export function servers(ports: readonly number[]): string {
  return ports.map((port) => `server 127.0.0.1:${port} max_fails=0;`).join(' ')
}

/** Runs nginx with a configuration. Throws with its last words when it does not serve. */
export function startNginx(options: NginxOptions, onDeath: (reason: string) => void): Promise<Running> {
  const { name, binary, libraries, folder, config, log, isReady } = options
  mkdirSync(join(folder, 'tmp'), { recursive: true })
  const file = join(folder, `${name}.conf`)
  writeFileSync(file, config, { mode: 0o600 })
  return startChild(
    {
      name,
      command: binary,
      // Nothing is read or written where it was built to look for it.
      args: ['-p', folder, '-c', file, '-e', 'stderr', '-g', 'daemon off;'],
      env: libraries ? { LD_LIBRARY_PATH: libraries } : {},
      // Requests may end, for a moment.
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
