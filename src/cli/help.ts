/** What `--help` says. */

/** The commands. */
export const COMMANDS = ['put', 'get', 'status', 'patch', 'rm'] as const

/** One of the commands. */
export type CommandName = (typeof COMMANDS)[number]

const COMMON = `
  -H 'NAME: VALUE'  send this field with every request; may be repeated
  --retries N       give up after N failures in a row without a byte of
                    progress (default 20)
  --quiet           print errors only
  -h, --help        print this`

/** The help of the whole command. */
export const HELP = `partial-upload: uploads and downloads that survive a broken connection

  partial-upload put FILE... URL       upload files and folders
  partial-upload get URL [FILE]        download a file
  partial-upload status URL            tell how much is there
  partial-upload patch URL --at N FILE write into a file that is there
  partial-upload rm URL                remove a file, finished or not

After a broken connection a transfer goes on by itself. After Ctrl-C, a crash
or a restart, run the same command again: it sends or fetches only what is
missing.

Examples:
  partial-upload put film.mp4 https://example.org/files/film.mp4
  partial-upload put *.jpg photos https://example.org/files/
  tar -c photos | partial-upload put - https://example.org/files/photos.tar
  partial-upload get https://example.org/files/film.mp4

Options:
  -h, --help        print this; after a command, its own help
  -v, --version     print the version

Exit codes:
  0    done
  1    failed
  2    wrong usage
  3    refused, because what is there is a different file
  130  stopped by Ctrl-C; the same command goes on`

/** The help of each command. */
export const COMMAND_HELP: Readonly<Record<CommandName, string>> = {
  put: `partial-upload put FILE... URL

Uploads files. What an earlier attempt has brought there is not sent again; a
different file at the URL is left alone (exit code 3).

One FILE goes to URL. Several, or a folder with all that is in it, go below a
URL that ends in a slash, under their own names: photos/a.jpg of the folder
photos becomes URL/photos/a.jpg, and of photos/. becomes URL/a.jpg. The FILE -
is the standard input. Where the shell does not do it, * and ? in a FILE stand
for parts of a name, and ** for folders of any depth.

Examples:
  partial-upload put film.mp4 https://example.org/files/film.mp4
  partial-upload put *.jpg photos https://example.org/files/
  partial-upload put 'photos/**/*.jpg' https://example.org/files/
  partial-upload put -H "Authorization: Bearer $TOKEN" a.bin https://example.org/files/
  tar -c photos | partial-upload put - https://example.org/files/photos.tar

Options:
  --concurrency N   files under way at the same time (default 4)
  --content-type T  media type that the files get (default: by their endings)
  --overwrite       replace what is a different file${COMMON}`,

  get: `partial-upload get URL [FILE]

Downloads to FILE; if that is a folder, or there is no FILE, to the name at the
end of URL. Until all is there, the bytes are in FILE.part, and FILE.part.json
tells which version they belong to: the same command goes on with that version,
and begins again when there is a new one. The FILE - is the standard output.

Examples:
  partial-upload get https://example.org/files/film.mp4
  partial-upload get https://example.org/files/film.mp4 films/first.mp4
  partial-upload get https://example.org/files/photos.tar - | tar -x

Options:
  --overwrite       replace FILE if it is there (otherwise exit code 3)${COMMON}`,

  status: `partial-upload status URL

Tells what is at URL, one "name: value" to a line: state (complete or
incomplete), size (bytes that are there), length (bytes that it will have, if
that is known), type and etag. Exit code 1 if nothing is there.

Examples:
  partial-upload status https://example.org/files/film.mp4

Options:${COMMON}`,

  patch: `partial-upload patch URL --at N FILE

Writes the bytes of FILE into what is at URL, from position N on: all of them
or none. N is at most the size of what is there; what reaches beyond its end
makes it longer. The FILE - is the standard input.

Examples:
  partial-upload patch https://example.org/files/disk.img --at 512 sector.bin
  printf 'new' | partial-upload patch https://example.org/files/a.txt --at 0 -

Options:
  --at N            position of the first byte, counted from 0
  --content-type T  media type that the file gets${COMMON}`,

  rm: `partial-upload rm URL

Removes what is at URL, finished or not. It is no failure if nothing is there.

Examples:
  partial-upload rm https://example.org/files/film.mp4

Options:${COMMON}`,
}
