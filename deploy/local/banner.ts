export interface BannerInput {
  readonly publicUrl: string
  readonly username: string
  /** Only when it was made just now. */
  readonly password: string | undefined
  readonly dataDir: string
  /** The file of the authority that clients are to trust; with HTTPS only. */
  readonly authority?: string
}

/** What is printed once everything serves. */
export function banner({ publicUrl, username, password, dataDir, authority }: BannerInput): string {
  const { host } = new URL(publicUrl)
  const trust = authority === undefined ? '' : `--cacert ${authority} `
  const lines = [
    '',
    `registry-manager serves at ${publicUrl}`,
    ...(password === undefined
      ? []
      : ['', `  administrator  ${username}`, `  password       ${password}   (shown this once)`]),
    '',
    ...(authority === undefined
      ? []
      : [`Its certificate is signed by ${authority}: clients are to trust that.`, '']),
    'Try it:',
    `  docker login ${host} -u ${username}`,
    `  docker tag alpine ${host}/team/alpine`,
    `  docker push ${host}/team/alpine`,
    `  curl ${trust}-u ${username} -d username=jane -d password=CHANGE-ME-NOW -d namespaces=team ${publicUrl}/user`,
    '',
    `Everything is kept in ${dataDir}. Ctrl-C stops.`,
    '',
  ]
  return lines.join('\n')
}
