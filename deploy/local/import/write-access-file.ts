import { Document, isMap, isSeq, visit } from 'yaml'
import type { Imported } from './imported.ts'

/** Writes what was imported as an access file, with the report as comments. */
export function writeAccessFile(
  { users, groups, registryTokens, grants, report }: Imported,
  title: string,
): string {
  const sections = {
    users: Object.fromEntries(users),
    groups: Object.fromEntries(groups),
    registryTokens: Object.fromEntries(registryTokens),
    namespaces: Object.fromEntries([...grants].map(([name, list]) => [name, { grants: list }])),
  }
  const given = Object.entries(sections).filter(([, entries]) => Object.keys(entries).length > 0)
  const document = new Document(Object.fromEntries(given), { aliasDuplicateObjects: false })
  // A grant or a scope is one line.
  visit(document, {
    Seq: (_, node) => {
      for (const item of node.items) if (isMap(item) || isSeq(item)) item.flow = true
    },
  })
  document.commentBefore = [title, ...report].map((line) => ` ${line.replace(/\s+/g, ' ')}`).join('\n')
  return document.toString({ lineWidth: 0 })
}
