"""Uploads FILE to URL, and resumes after every broken connection: python3 upload.py FILE URL

Exits with 0 only if the server has a file with the SHA-256 of FILE. Prints the reason otherwise."""
import base64, hashlib, http.client, itertools, sys, time, urllib.error, urllib.request

def send(method, headers, content=None):
    try:
        return urllib.request.urlopen(urllib.request.Request(url, content, headers, method=method), timeout=60)
    except urllib.error.HTTPError as refusal:
        return refusal

path, url = sys.argv[1:]
with open(path, "rb") as file:
    digest = f"sha-256=:{base64.b64encode(hashlib.file_digest(file, 'sha256').digest()).decode()}:"
    size = file.tell()
    answer = None
    while True:
        try:
            answer = send("HEAD", {"Want-Repr-Digest": "sha-256=10"})
            if answer.status == 200:
                is_same = answer.headers["Repr-Digest"] == digest
                sys.exit(None if is_same else "a different file is at this URL, or the server sent no digest")
            if answer.status in (299, 404):
                resumes = answer.status == 299
                start = file.seek(int(answer.headers["Content-Length"]) if resumes else 0)
                span = f"{start}-{size - 1}" if start < size else "*"  # With `*` it only declares the length.
                part_header = f"Content-Range: bytes {span}/{size}\r\n\r\n".encode()
                condition = {"If-Match": answer.headers["ETag"]} if resumes else {"If-None-Match": "*"}
                headers = {"Content-Type": "message/byteranges", "Repr-Digest": digest, **condition}
                answer = send("PATCH", headers, itertools.chain([part_header], iter(lambda: file.read(1 << 20), b"")))
            if answer.status in (408, 412, 429, 500, 502, 503, 504) or "Retry-After" in answer.headers:
                time.sleep(1)
            elif answer.status >= 400:
                sys.exit(f"{answer.status} {answer.read().decode()}")
        except (OSError, http.client.HTTPException) as failure:
            if answer is None:
                sys.exit(f"no server answers: {failure}")
            time.sleep(1)  # HEAD then shows how much has arrived.
