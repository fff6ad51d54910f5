import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { renderTemplate } from '../../local/stack/nginx.ts'
import { TEMPLATE, nginx, startIngress } from './fixtures/ingress.ts'

t.test('nginx finds nothing wrong with the configuration', async (t) => {
  const { folder } = await startIngress(t)
  const { binary, libraries } = nginx(t)
  const options = { encoding: 'utf8' as const, env: { ...process.env, LD_LIBRARY_PATH: libraries } }
  const { status, stderr } = spawnSync(
    binary,
    ['-t', '-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'],
    options,
  )
  t.equal(status, 0)
  t.notMatch(stderr, /\[(warn|error|emerg)\]/)
})

t.test('the template says of every variable what it is', async (t) => {
  const comments = TEMPLATE.split('\n').filter((line) => line.trim().startsWith('#'))
  const used = new Set([...TEMPLATE.matchAll(/\$\{([^}]*)\}/g)].map(([, name]) => name ?? ''))
  t.ok(used.size > 10)
  for (const name of used) {
    t.match(name, /^[A-Z][A-Z_]*$/, 'nginx itself has no such names')
    t.ok(
      comments.some((line) => new RegExp(`\\b${name}\\b`).test(line)),
      `${name} is told of`,
    )
  }
})

t.test('a variable too few or too many is a fault', async (t) => {
  t.equal(renderTemplate('a ${B} $c ${B}', { B: '1' }), 'a 1 $c 1')
  t.throws(() => renderTemplate('${B}', {}), { message: 'the template wants B' })
  t.throws(() => renderTemplate('', { B: '1' }), { message: 'the template does not know B' })
})
