import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand } from './run-command.ts'

export interface ServerCertificate {
  readonly certificateFile: string
  readonly keyFile: string
}

export interface Authority {
  /** Path of its certificate, PEM. */
  readonly file: string
  /** Issues a server certificate for these names, such as `DNS:localhost` or `IP:127.0.0.1`. */
  issue(name: string, names: readonly string[]): Promise<ServerCertificate>
}

const DAYS = ['-days', '3']
const newKey = (file: string) => ['-newkey', 'rsa:2048', '-nodes', '-keyout', file]

/** Creates a certificate authority in a folder of the test. */
export async function createAuthority(folder: string, name = 'authority'): Promise<Authority> {
  const openssl = (args: string[]) => runCommand('openssl', args, { cwd: folder })
  const [file, key] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)]
  await openssl(['req', '-x509', ...newKey(key), ...DAYS, '-subj', `/CN=${name} of a test`, '-out', file])
  return {
    file,
    async issue(server, names) {
      const [certificateFile, keyFile] = [join(folder, `${server}.pem`), join(folder, `${server}.key`)]
      const [request, extensions] = [join(folder, `${server}.csr`), join(folder, `${server}.ext`)]
      await writeFile(extensions, `subjectAltName=${names.join(',')}\n`)
      await openssl(['req', ...newKey(keyFile), '-subj', `/CN=${server}`, '-out', request])
      const signing = ['-CA', file, '-CAkey', key, '-CAcreateserial', ...DAYS, '-extfile', extensions]
      await openssl(['x509', '-req', '-in', request, ...signing, '-out', certificateFile])
      return { certificateFile, keyFile }
    },
  }
}
