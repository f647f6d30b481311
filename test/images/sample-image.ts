/** An image with something in every field: text beyond ASCII, an empty key, a size beyond 2^53, a time before 1970. */
import type { Image } from "../../images/types.js";

export const SAMPLE_IMAGE: Image = {
  name: "docker.io/library/nginx:1.25",
  target: { mediaType: "application/x", digest: `sha256:${"ab".repeat(32)}`, size: 2n ** 60n, annotations: { a: "b" } },
  labels: { env: "prod", "": "☃" },
  createdAt: new Date(1_700_000_000_123),
  updatedAt: new Date(-5),
};
