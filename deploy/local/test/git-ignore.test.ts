import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { parse } from 'yaml'
import { READERS } from '../../settings/schemas.ts'
import { readComposeFile } from '../../settings/test/fixtures/compose-file.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const QUICKSTART = join('deploy', 'kubernetes', 'overlays', 'quickstart')
const skip = !existsSync(join(ROOT, '.git')) && 'this is no git repository'

/** Runs git in the repository. Returns its lines of output. */
function git(args: readonly string[], input = ''): string[] {
  const { stdout, stderr } = spawnSync('git', args, { cwd: ROOT, encoding: 'utf8', input })
  if (stderr !== '') throw new Error(stderr)
  return stdout.split('\n').filter((line) => line !== '')
}

/** Those of the paths that git ignores, whether they exist or not. */
const ignored = (paths: readonly string[]) => git(['check-ignore', '--no-index', '--stdin'], paths.join('\n'))

/** Folders in which `npm start` and `npm run stack` write by default, by the schemas of their settings. */
function dataFolders(): string[] {
  const folders = Object.values(READERS).flatMap(({ properties }) => {
    const { default: folder } = (properties['DATA_DIR'] ?? {}) as { default?: string }
    return folder === undefined ? [] : folder.replace(/^\.\//, '')
  })
  return [...new Set(folders)]
}

/** The files that the overlay `quickstart` expects from `npm run secrets`. */
function quickstartSecrets(): string[] {
  const { secretGenerator } = parse(readFileSync(join(ROOT, QUICKSTART, 'kustomization.yaml'), 'utf8')) as {
    secretGenerator: readonly { readonly files: readonly string[] }[]
  }
  return secretGenerator.flatMap(({ files }) =>
    files.map((file) => join(QUICKSTART, file.replace(/^.*=/, ''))),
  )
}

t.test('git ignores every file that npm scripts write into the clone', { skip }, async (t) => {
  const data = dataFolders()
  t.same(data, ['data', 'data-stack'])
  const composeSecrets = Object.values(readComposeFile().secrets).map(({ file }) => join('deploy', file))
  t.ok(composeSecrets.length > 5 && quickstartSecrets().length > 8)
  const written: Readonly<Record<string, readonly string[]>> = {
    'npm start and npm run stack': data.flatMap((folder) =>
      [
        'lock',
        'internal-url',
        'secrets/service-credential',
        'signing-keys/ca-key.pem',
        'images/docker/registry/v2',
        'images.log',
        'database/PG_VERSION',
        'postgres/PG_VERSION',
        'postgres.unfinished/PG_VERSION',
        'tls/server.key',
        'logs/registry.log.1',
        'run/nginx.pid',
        'nginx/nginx.conf',
        'restore.gz.restored',
        '.backup-0123456789ab',
      ].map((file) => join(folder, file)),
    ),
    'npm run compose': [
      ...composeSecrets,
      'deploy/secrets/signing-keys/ca-key.pem',
      'deploy/secrets/tls/ca.key',
    ],
    'npm run secrets for the quickstart': [...quickstartSecrets(), join(QUICKSTART, 'secrets/tls/ca.key')],
    'npm run backup -- backup.gz': ['backup.gz', 'backup.gz.part', 'backup.gz.0123456789ab.part'],
    'the installation of the workspace': [
      'node_modules/.installed-lock',
      'node_modules/.compile-cache/v26/a',
      'services/auth-service/node_modules/a',
      'packages/http/node_modules/a',
    ],
    'npm test': [
      '.tap/test-results/a',
      '.cache/pglite-0123456789abcdef.tar',
      '.cache/postgres-0123456789abcdef-101/base',
      '.cache/manifests-1/a.ts',
    ],
  }
  for (const [script, paths] of Object.entries(written)) {
    t.strictSame(ignored(paths), paths, script)
  }
})

t.test('git does not ignore the files that npm scripts generate for a commit', { skip }, async (t) => {
  // npm run docs:settings, and npm run helm.
  const generated = [
    'docs/settings.md',
    ...git(['ls-files', 'deploy/helm/registry-manager', 'deploy/kubernetes/components/monitoring']),
  ]
  t.ok(generated.length > 20, `${generated.length} generated files`)
  t.strictSame(ignored([...generated, 'deploy/helm/registry-manager/templates/secrets.yaml']), [])
})
