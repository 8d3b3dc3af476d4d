// Types of the bundle beside it, for `tsc` only; see README.md for how both are made.
export {
  BufferAttribute, BufferGeometry, Color, DirectionalLight, FrontSide, Group, HemisphereLight, Matrix4, Mesh,
  MeshPhongMaterial, MOUSE, PerspectiveCamera, Quaternion, Scene, Spherical, Vector3, WebGLRenderer,
} from "three";
export { OrbitControls } from "three/addons/controls/OrbitControls.js";
