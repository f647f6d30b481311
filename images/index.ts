/**
 * `hexbolt/images`: containerd's image metadata store. Images by name in a transaction of yours (`TxImageStore`), in a database
 * (`LocalImageStore`), on a server or a containerd (`connectImages`), in etcd (`EtcdImageStore`), and a server for all of
 * them (`serveImages`).
 */
export { EtcdImageStore } from "./etcd-store.js";
export type { EtcdOptions } from "./etcd-store.js";
export type { GatewayOptions } from "./etcd-gateway.js";
export {
  CorruptImagesError, ImageExistsError, ImageNotFoundError, ImagesError, isExists, isNotFound,
} from "./errors.js";
export type { CorruptImage, ErrorCause, ImagesErrorCode } from "./errors.js";
export { GrpcError } from "./grpc-status.js";
export type { StatusCode } from "./grpc-status.js";
export type { GivenLimits, ServerLimits } from "./grpc-limits.js";
export { LocalImageStore } from "./local-store.js";
export { connectImages, RemoteImageStore } from "./remote-store.js";
export type { ConnectOptions } from "./remote-store.js";
export { serveImages } from "./server.js";
export type { ImagesServer, ServeOptions } from "./server.js";
export type { StoreSource } from "./services.js";
export { hasEarlyLayout, initDB, listNamespaces } from "./namespaces.js";
export type { LayoutOptions } from "./namespaces.js";
export { TxImageStore } from "./tx-store.js";
export type {
  CallOptions, DeleteOptions, Descriptor, EditableImageStore, Image, ImageChange, ImageStore, ListOptions, PutOptions, UpdateOptions,
} from "./types.js";
