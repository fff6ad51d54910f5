/**
 * Lint checks the structure of the services (docs/decisions/0026-one-folder-per-feature.md). Each case is a source file
 * that breaks the structure, or one that keeps it, linted with the project's own configuration in a folder of its own.
 */
import { execFile } from 'node:child_process'
import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import t from 'tap'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const OXLINT = join(ROOT, 'node_modules', '.bin', 'oxlint')

const REPOSITORY =
  "import type { UsersRepository } from './users-repository.ts'\nexport type Port = UsersRepository\n"
const DATABASE = "import type { Database } from '@registry-manager/database'\nexport type Port = Database\n"
const KYSELY = "import { sql } from 'kysely'\nexport const query = sql`select 1`\n"
const LDAP = "import type { Client } from 'ldapts'\nexport type Port = Client\n"
const COMPOSITION = "import { createUsers } from './index.ts'\nexport const users = createUsers()\n"
const SERVICE =
  "import { createAuthService } from '@registry-manager/auth-service/app'\nexport { createAuthService }\n"
const DEPLOY = "import { asUser } from '../../../deploy/local/child.ts'\nexport { asUser }\n"
const CYCLE = "import type { B } from './b.ts'\nexport type A = B | undefined\n"
const LONG = `${'export {}\n'.repeat(251)}`

const BREAKS: readonly [why: string, file: string, source: string, message: string][] = [
  [
    'a use case imports a type of a repository',
    'services/auth-service/src/users/create-user.ts',
    REPOSITORY,
    'declares a port',
  ],
  [
    'a route imports a repository',
    'services/auth-service/src/users/routes.ts',
    REPOSITORY,
    'declares a port',
  ],
  [
    'a use case imports the type of the database',
    'services/auth-service/src/users/create-user.ts',
    DATABASE,
    'run queries',
  ],
  ['a use case builds a query', 'services/image-manager/src/push/record.ts', KYSELY, 'run queries'],
  ['a use case speaks LDAP', 'services/auth-service/src/users/create-user.ts', LDAP, 'speaks LDAP'],
  [
    'a use case imports its composition',
    'services/auth-service/src/users/create-user.ts',
    COMPOSITION,
    'compose features',
  ],
  ['a service imports another service', 'services/registry-proxy/src/app.ts', SERVICE, 'talk HTTP'],
  ['a package imports deployment code', 'packages/http/src/user.ts', DEPLOY, 'deployment code'],
  ['two files import types of each other', 'services/registry-proxy/src/a.ts', CYCLE, 'cycle'],
  ['a source file has more than 250 lines', 'services/registry-proxy/src/long.ts', LONG, 'max-lines'],
]

const KEEPS: readonly [why: string, file: string, source: string][] = [
  ['a repository builds a query', 'services/auth-service/src/users/users-repository.ts', KYSELY],
  [
    'the composition of a feature imports a repository',
    'services/auth-service/src/users/index.ts',
    REPOSITORY,
  ],
  ['packages/testing starts programs as deploy/local does', 'packages/testing/src/user.ts', DEPLOY],
  ['the LDAP client speaks LDAP', 'services/auth-service/src/directory/ldap/connect.ts', LDAP],
]

for (const [why, file, source, message] of BREAKS) {
  t.test(`lint refuses code in which ${why}`, async (t) => {
    const { code, output } = await lint(t, file, source)
    t.equal(code, 1, output)
    t.match(output, message)
  })
}

for (const [why, file, source] of KEEPS) {
  t.test(`lint accepts code in which ${why}`, async (t) => {
    const { code, output } = await lint(t, file, source)
    t.equal(code, 0, output)
  })
}

/** Lints one file of a folder with the project's configuration. Returns oxlint's exit code and output. */
async function lint(t: Test, file: string, source: string): Promise<{ code: number; output: string }> {
  const folder = t.testdir({})
  const path = join(folder, file)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, source)
  await writeFile(join(dirname(path), 'b.ts'), "import type { A } from './a.ts'\nexport type B = A\n")
  await copyFile(join(ROOT, '.oxlintrc.json'), join(folder, '.oxlintrc.json'))
  return new Promise((resolve) => {
    // tap adds its loaders to NODE_OPTIONS of every child, and oxlint does not start with them.
    const command = ['--unset=NODE_OPTIONS', OXLINT, '--deny-warnings', file]
    execFile('env', command, { cwd: folder, encoding: 'utf8' }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), output: stdout + stderr }),
    )
  })
}
