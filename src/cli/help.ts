/** The texts of `--help`. No line is longer than 80 columns, apart from examples. */

/** The names of the commands, in the order of the help. */
export const COMMANDS = ['put', 'get', 'status', 'patch', 'rm'] as const

/** Name of a command. */
export type CommandName = (typeof COMMANDS)[number]

/** The help of the options that every command has. */
const COMMON = `
  -H 'NAME: VALUE'  send this field with every request; may be repeated
  --retries N       give up after N failures in a row without a byte of
                    progress (default 20)
  --wait            keep trying if no server answers at the address; by
                    default the command fails after a few seconds
  --quiet           print errors only
  -h, --help        print this help`

/** The help of the program: `partial-upload --help`. */
export const HELP = `partial-upload: uploads and downloads that survive a broken connection

  partial-upload put FILE... URL       upload files and folders
  partial-upload get URL [FILE]        download a file
  partial-upload status URL            show how much the server has
  partial-upload patch URL --at N FILE overwrite bytes of a file on the server
  partial-upload rm URL...             remove files, finished or not

After a broken connection a transfer resumes by itself. After Ctrl-C, a crash
or a restart, run the same command again: it transfers only what is missing.

Examples:
  partial-upload put film.mp4 https://example.org/files/film.mp4
  partial-upload put *.jpg photos https://example.org/files/
  tar -c photos | partial-upload put - https://example.org/files/photos.tar
  partial-upload get https://example.org/files/film.mp4

Options:
  -h, --help        print this help; after a command, the help of the command
  -v, --version     print the version

Environment:
  PARTIAL_UPLOAD_TOKEN
                    send "Authorization: Bearer TOKEN" with every request, unless
                    -H or the URL has another one; other users of the machine
                    can read the arguments of a command, but not its environment

Exit codes:
  0    done
  1    failed
  2    wrong usage
  3    refused, because a file that may be different is already there
  130  stopped by Ctrl-C; the same command resumes`

/** The help of each command: `partial-upload put --help`. */
export const COMMAND_HELP: Readonly<Record<CommandName, string>> = {
  put: `partial-upload put FILE... URL

Uploads files. Bytes that an earlier attempt has stored are not sent again, and
a file that the server already has is reported as "skipped (same)". If the URL
holds a different file, the command leaves it alone (exit code 3).

A single FILE goes to URL. If URL ends in a slash, files and folders go below
it under their own names: photos/a.jpg of the folder photos becomes
URL/photos/a.jpg, and of photos/. becomes URL/a.jpg. The FILE - is the standard
input. In a quoted FILE, * and ? match parts of a name, and ** matches folders
of any depth.

A symbolic link is followed if it is given as FILE. Inside a folder, symbolic
links, named pipes, sockets and devices are skipped, with a line about each.

Examples:
  partial-upload put film.mp4 https://example.org/files/film.mp4
  partial-upload put *.jpg photos https://example.org/files/
  partial-upload put 'photos/**/*.jpg' https://example.org/files/
  partial-upload put -H "Authorization: Bearer $TOKEN" a.bin https://example.org/files/
  tar -c photos | partial-upload put - https://example.org/files/photos.tar

Options:
  --concurrency N   number of files to send at the same time (default 4)
  --content-type T  media type of the files (default: by their endings)
  --overwrite       replace a different file${COMMON}`,

  get: `partial-upload get URL [FILE]

Downloads to FILE. If FILE is a folder or is not given, the name is the last
part of URL. Until the download is complete, its bytes are in FILE.part, and
FILE.part.json records their version. The same command resumes that version, or
starts again if the server has a new one. The FILE - is the standard output.

Only a regular file is replaced, and its permissions are kept. A symbolic link,
a device or a named pipe at FILE or FILE.part is refused.

If the server sends a SHA-256 of the file, the command verifies it. It follows
redirections, but refuses a web page in place of the file, such as a login.

Examples:
  partial-upload get https://example.org/files/film.mp4
  partial-upload get https://example.org/files/film.mp4 films/first.mp4
  partial-upload get https://example.org/files/photos.tar - | tar -x

Options:
  --overwrite       replace FILE if it exists (otherwise exit code 3)${COMMON}`,

  status: `partial-upload status URL

Prints what the server has at URL, one "name: value" per line: state (complete
or incomplete), size (bytes that the server has), length (bytes of the finished
file, if known), type and etag. The exit code is 1 if there is no file at URL.

Examples:
  partial-upload status https://example.org/files/film.mp4

Options:${COMMON}`,

  patch: `partial-upload patch URL --at N FILE

Writes the bytes of FILE into the file at URL, from position N on: all of them
or none. N is at most the size of the file at URL, which grows if the new bytes
reach beyond its end. The FILE - is the standard input.

Examples:
  partial-upload patch https://example.org/files/disk.img --at 512 sector.bin
  printf 'new' | partial-upload patch https://example.org/files/a.txt --at 0 -

Options:
  --at N            position of the first byte, counted from 0
  --content-type T  new media type of the file${COMMON}`,

  rm: `partial-upload rm URL...

Removes the file at each URL, finished or not. If there is none, the exit code
is 0 as well. A failure does not stop the removal of the others.

Examples:
  partial-upload rm https://example.org/files/film.mp4
  partial-upload rm https://example.org/files/{a,b}.txt

Options:${COMMON}`,
}
