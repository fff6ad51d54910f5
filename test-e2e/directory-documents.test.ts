import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { ensureCommands } from './harness/debian-packages.ts'
import { runCommand } from './harness/run-command.ts'
import { sambaIsMissing, startSamba } from './harness/samba.ts'
import { blockOf, runConsoleExample } from './harness/console-example.ts'
import { slapdIsMissing, startSlapd } from './harness/slapd.ts'
import type { System } from './harness/system.ts'
import { basic, startSystem } from './harness/system.ts'
import type { TestDirectory } from './harness/test-directory.ts'
import { line, record } from './harness/test-directory.ts'

const FOLDER = '/etc/registry-manager'
const NAMES = ['jane', 'olga', 'john', 'nina']
const passwordOf = (username: string) => `Password-of-${username}-1`
const noCurl = await ensureCommands({ curl: 'curl' })

/** Returns the text between a heading and the next one of its level. */
function section(document: string, heading: string): string {
  const level = /^#+/.exec(heading)?.[0] ?? ''
  const [, text = ''] = document.split(`\n${heading}\n`)
  return text.split(new RegExp(`^${level} `, 'm'))[0] ?? ''
}

/**
 * Starts the system in a shell with the settings that a document prints. Only the directory's address and the folder of
 * the files are replaced.
 */
async function startAsPrinted(
  t: Test,
  printed: string,
  directory: TestDirectory,
  hosts: Record<string, string>,
): Promise<System> {
  const folder = await mkdtemp(join(tmpdir(), 'directory-documents-'))
  t.teardown(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'directory-ca.pem'), await readFile(directory.caFile))
  await writeFile(join(folder, 'directory-password'), `${directory.service.password}\n`)
  await writeFile(join(folder, 'groups.json'), blockOf(printed, 'json'))
  const commands = blockOf(printed, 'sh')
  t.match(commands, /^npm start$/m)
  const script = Object.entries({ [FOLDER]: folder, 'npm start': 'env', ...hosts }).reduce(
    (text, [from, to]) => text.replaceAll(from, to),
    commands,
  )
  const { stdout } = await runCommand('sh', ['-ec', script])
  const settings = stdout.split('\n').filter((setting) => setting.startsWith('DIRECTORY_'))
  t.ok(settings.length >= 5, `${settings.length} settings are printed`)
  const env = Object.fromEntries(
    settings.map((setting) => [
      setting.slice(0, setting.indexOf('=')),
      setting.slice(setting.indexOf('=') + 1),
    ]),
  )
  return startSystem(t, { env })
}

async function testSession(t: Test, printed: string, system: System): Promise<void> {
  const passwords = Object.fromEntries(NAMES.map((name) => [`${name.toUpperCase()}S`, passwordOf(name)]))
  const commands = await runConsoleExample(t, printed, system, {
    ...passwords,
    PASSWORD: system.admin.password,
  })
  t.ok(commands >= 4, `${commands} commands are printed`)
}

/** The README prints fewer settings: a user that the administrator created signs in. */
async function testSignIn(t: Test, system: System): Promise<void> {
  const body = new URLSearchParams({ username: 'john', ad: 'true' })
  const headers = { authorization: basic(system.admin) }
  t.equal((await fetch(`${system.url}/user`, { method: 'POST', headers, body })).status, 201)
  const john = { authorization: basic({ username: 'john', password: passwordOf('john') }) }
  t.match(await (await fetch(`${system.url}/user`, { headers: john })).json(), { username: 'john', ad: true })
}

const [readme, page] = await Promise.all(
  ['../README.md', '../docs/directory.md'].map((name) => readFile(new URL(name, import.meta.url), 'utf8')),
)

const missing = (await sambaIsMissing()) || noCurl

t.test('the documented Active Directory settings work as printed', { skip: missing }, async (t) => {
  const samba = await startSamba(t)
  await samba.addUsers(Object.fromEntries(NAMES.map((name) => [name, passwordOf(name)])))
  const ou = `OU=Groups,${samba.baseDn}`
  await samba.apply(record(ou, ['changetype: add', 'objectClass: organizationalUnit']))
  const addGroup = (name: string, member: string) =>
    samba.apply(record(`CN=${name},${ou}`, ['changetype: add', 'objectClass: group', line('member', member)]))
  await addGroup('Backend', samba.userDn('jane'))
  await addGroup('Developers', `CN=Backend,${ou}`)
  await addGroup('Registry Admins', samba.userDn('olga'))
  const hosts = { 'dc1.example.com': samba.host, 'dc2.example.com': samba.host }
  const printed = section(page ?? '', '## Active Directory')
  await testSession(t, printed, await startAsPrinted(t, printed, samba, hosts))
  await testSignIn(t, await startAsPrinted(t, section(readme ?? '', '### Active Directory'), samba, hosts))
})

t.test(
  'the documented OpenLDAP settings work as printed',
  { skip: (await slapdIsMissing()) || noCurl },
  async (t) => {
    const slapd = await startSlapd(t)
    await slapd.addUsers(Object.fromEntries(NAMES.map((name) => [name, passwordOf(name)])))
    await slapd.addGroup('developers', [slapd.userDn('jane')])
    await slapd.addGroup('admins', [slapd.userDn('olga')])
    const hosts = {
      'ldap://ldap.example.org': `ldap://${slapd.host}:${slapd.plainPort}`,
      'ldaps://ldap.example.org': slapd.url,
    }
    const printed = section(page ?? '', '## OpenLDAP')
    await testSession(t, printed, await startAsPrinted(t, printed, slapd, hosts))
    await testSignIn(t, await startAsPrinted(t, section(readme ?? '', '### OpenLDAP'), slapd, hosts))
  },
)
