import type { Imported } from './imported.ts'
import { createImport } from './imported.ts'

/** The group of all users of the file. */
const GROUP = 'htpasswd-users'

/**
 * Imports an htpasswd file: its users, with their bcrypt hashes. The file has no permissions. A registry behind it lets
 * every user do everything; here they have no rights until someone grants them.
 * Source: Apache HTTP Server, htpasswd(1), "Password Formats".
 */
export function importHtpasswd(text: string): Imported {
  const found = createImport()
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const [, name, hash] = /^([^:]+):([^:]*)/.exec(line) ?? []
    if (name === undefined) {
      found.report(`line ${index + 1} is not imported: it is not NAME:HASH`)
      continue
    }
    const username = name.toLowerCase()
    // Apache uses the first line of a name.
    if (found.hasUser(username))
      found.report(`line ${index + 1} is not imported: an earlier line has the name ${name}`)
    else found.addUser(name, found.hashField(name, hash))
  }
  const members = found.usernames()
  if (members.length > 0) {
    found.addGroup(GROUP, { members })
    found.report(
      'an htpasswd file has no permissions, so the users have no rights yet. ' +
        `All of them are members of the group ${GROUP}: grant rights to the group`,
    )
  }
  return found.finish()
}
