import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { renderTemplates } from '../../local/stack/nginx.ts'
import { TEMPLATES, nginx, startIngress } from './fixtures/ingress.ts'

t.test('nginx -t reports neither an error nor a warning for the configuration', async (t) => {
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

t.test('the comments of nginx.conf.template explain every variable of the templates', async (t) => {
  const comments = TEMPLATES.split('\n').filter((line) => line.trim().startsWith('#'))
  const used = new Set([...TEMPLATES.matchAll(/\$\{([^}]*)\}/g)].map(([, name]) => name ?? ''))
  t.ok(used.size > 10)
  for (const name of used) {
    t.match(name, /^[A-Z][A-Z_]*$/, 'the name cannot be one of a variable of nginx')
    t.ok(
      comments.some((line) => new RegExp(`\\b${name}\\b`).test(line)),
      `a comment explains ${name}`,
    )
  }
})

t.test('rendering replaces variables, and fails if one is missing or unused', async (t) => {
  const rendered = renderTemplates({ a: 'a ${B} $c ${B}', d: '${E}' }, { B: '1', E: '2' })
  t.same(rendered, { a: 'a 1 $c 1', d: '2' })
  t.throws(() => renderTemplates({ a: '${B}' }, {}), {
    message: 'the template of a uses B, which is not set',
  })
  t.throws(() => renderTemplates({ a: '' }, { B: '1' }), { message: 'no template uses B' })
})
