import t from 'tap'
import { readAccessFile } from '../../apply/read-access-file.ts'
import { importHtpasswd } from '../../import/htpasswd.ts'
import { writeAccessFile } from '../../import/write-access-file.ts'

const HASH = '$2y$05$LO.vzwpWC5LZGqThvEfznu8qhb5SGqvBSWY1J3yZ4AxtMRZ3kN5jC'

t.test('users of an htpasswd file keep bcrypt hashes, and have no rights', async (t) => {
  const imported = importHtpasswd(
    `# users\r
jane:${HASH}\r
Omar:$apr1$Fw1ZRUkr$2Y0rkZoWDhF5i5PS5qDHN0:and a comment
nina:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=
jane:${HASH.replace('05', '06')}
without a colon

`,
  )
  t.strictSame(
    [...imported.users],
    [
      ['jane', { passwordHash: HASH }],
      ['omar', {}],
      ['nina', {}],
    ],
  )
  t.strictSame([...imported.groups], [['htpasswd-users', { members: ['jane', 'nina', 'omar'] }]])
  t.equal(imported.grants.size, 0)
  const report = imported.report.join('\n')
  for (const part of [
    'user Omar gets a new password: the hash cannot be imported (it is not bcrypt)',
    'user nina gets a new password',
    'line 5 is not imported: an earlier line has the name jane',
    'line 6 is not imported: it is not NAME:HASH',
    'an htpasswd file has no permissions',
  ]) {
    t.ok(report.includes(part), part)
  }
  const file = readAccessFile(writeAccessFile(imported, 'A title.'))
  if ('faults' in file) return t.strictSame(file.faults, [])
  t.strictSame(file.users, imported.users, 'the written file has the same users')
})
