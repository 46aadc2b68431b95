// SPDX-License-Identifier: Apache-2.0

import DaemonSupport
import Foundation

/// The layout of a local cluster's directory.
struct ClusterDirectory: Sendable {
    /// The directory itself.
    let path: String

    /// Names the layout; an absolute path is made of a relative one.
    init(path: String) { self.path = URL(fileURLWithPath: path).standardizedFileURL.path }

    /// The master's data.
    var master: String { self.path + "/master" }
    /// A satellite's data; numbered from 1.
    func satellite(_ number: Int) -> String { self.path + "/satellite-\(number)" }
    /// The configuration of a child.
    func configuration(of child: String) -> String { self.path + "/\(child).yaml" }
    /// The log of a child.
    func log(of child: String) -> String { self.path + "/\(child).log" }
    /// What the outside reads.
    var file: String { self.path + "/cluster.json" }
    /// Where the API key's secret is kept between starts.
    var key: String { self.path + "/api.key" }

    /// Makes the directories, readable for their owner only.
    func create(satellites: Int) throws {
        for directory in [self.path, self.master] + (0..<satellites).map({ self.satellite($0 + 1) }) {
            try NamedFile.makeDirectory(directory, "the cluster's directory")
        }
    }
}
