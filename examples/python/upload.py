"""Uploads FILE to URL and resumes after every break: python3 upload.py FILE URL"""

import base64, hashlib, http.client, itertools, os, sys, time, urllib.error, urllib.request


def upload(path, url, pause=1):
    with open(path, "rb") as file:
        size, sha256, blocks = os.path.getsize(path), hashlib.sha256(), lambda: iter(lambda: file.read(1 << 20), b"")
        for block in blocks():
            sha256.update(block)
        digest = f"sha-256=:{base64.b64encode(sha256.digest()).decode()}:"
        while True:
            head = send(url, "HEAD", {"Want-Repr-Digest": "sha-256=10"})
            if head and head.status == 200:
                return head.headers["Repr-Digest"] == digest  # Otherwise another file is at this URL.
            if head and head.status in (299, 404):
                offset = file.seek(int(head.headers["Content-Length"]))  # 404: 0
                span = f"{offset}-{size - 1}" if offset < size else "*"
                condition = {"If-Match": head.headers["ETag"]} if head.status == 299 else {"If-None-Match": "*"}
                headers = {"Content-Type": "message/byteranges", "Repr-Digest": digest, **condition}
                content = itertools.chain([f"Content-Range: bytes {span}/{size}\r\n\r\n".encode()], blocks())
                head = send(url, "PATCH", headers, content)
            if head and head.status in range(400, 500) and not may_pass(head):
                sys.exit(f"{head.status} {head.read().decode()}")
            time.sleep(pause if head is None or head.status >= 400 else 0)


def send(url, method, headers, content=None):
    try:
        return urllib.request.urlopen(urllib.request.Request(url, content, headers, method=method), timeout=60)
    except urllib.error.HTTPError as refusal:
        return refusal
    except (OSError, http.client.HTTPException):
        return None


def may_pass(refusal):
    return refusal.status in (408, 412, 429) or "Retry-After" in refusal.headers


if __name__ == "__main__":
    sys.exit(0 if upload(sys.argv[1], sys.argv[2]) else "a different file is at this URL")
