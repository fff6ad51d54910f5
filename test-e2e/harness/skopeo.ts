import { join } from 'node:path'
import { ensureCommands, findCommand } from './debian-packages.ts'
import type { CommandOutput } from './run-command.ts'
import { runCommand } from './run-command.ts'
import type { Credentials, Reachable } from './system.ts'

/** Skopeo with its own logins. */
export interface Skopeo {
  login(credentials: Credentials): Promise<CommandOutput>
  /** Copies an image. Sources and targets have skopeo's syntax, such as `dir:/tmp/image`. */
  copy(source: string, target: string, ...flags: string[]): Promise<CommandOutput>
}

/** The reason why skopeo cannot run here, or false. */
export const skopeoIsMissing = () => ensureCommands({ skopeo: 'skopeo' })

/** The logins are stored below `folder`, in a file with this name. */
export function createSkopeo({ host }: Reachable, folder: string, name: string): Skopeo {
  const run = (args: string[], input?: string) =>
    runCommand(findCommand('skopeo')!, ['--insecure-policy', ...args], {
      env: { REGISTRY_AUTH_FILE: join(folder, `${name}.json`) },
      input,
    })
  return {
    login: ({ username, password }) =>
      run(['login', '--tls-verify=false', '-u', username, '--password-stdin', host], password),
    copy: (source, target, ...flags) =>
      run(['copy', '--src-tls-verify=false', '--dest-tls-verify=false', ...flags, source, target]),
  }
}
