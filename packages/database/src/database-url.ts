import { readFileSync } from 'node:fs'

/** The database's URL from DATABASE_URL, or from the file that DATABASE_URL_FILE names; or what is wrong. */
export function databaseUrlFrom(
  env: Readonly<Record<string, string | undefined>>,
): { readonly databaseUrl: string } | { readonly problem: string } {
  const { DATABASE_URL: given, DATABASE_URL_FILE: file } = env
  if (given && file) return { problem: 'DATABASE_URL and DATABASE_URL_FILE are both set: set one of them' }
  if (given) return { databaseUrl: given }
  if (!file) return { problem: 'DATABASE_URL is required, such as postgres://user@host/database' }
  try {
    return { databaseUrl: readFileSync(file, 'utf8').trimEnd() }
  } catch (error) {
    return { problem: `DATABASE_URL_FILE cannot be read: ${(error as Error).message}` }
  }
}
