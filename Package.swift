// swift-tools-version: 6.2
import PackageDescription

/// One set of settings for every target: all of Swift 6's checks, and a warning is an error.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

/// A library and what it may import; arrows point down only.
func library(
    _ name: String,
    _ dependencies: [Target.Dependency],
    settings own: [SwiftSetting] = []
) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings + own)
}

/// The tests of a library.
func tests(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource]? = nil) -> Target {
    .testTarget(name: "\(name)Tests", dependencies: dependencies, resources: resources, swiftSettings: settings)
}

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let asn1 = Target.Dependency.product(name: "SwiftASN1", package: "swift-asn1")
let x509 = Target.Dependency.product(name: "X509", package: "swift-certificates")
let deque = Target.Dependency.product(name: "DequeModule", package: "swift-collections")
let configuration = Target.Dependency.product(name: "Configuration", package: "swift-configuration")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let cryptoExtras = Target.Dependency.product(name: "CryptoExtras", package: "swift-crypto")
let olderCryptoExtras = Target.Dependency.product(name: "_CryptoExtras", package: "swift-crypto")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let inMemoryLogging = Target.Dependency.product(name: "InMemoryLogging", package: "swift-log")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")
let coreMetrics = Target.Dependency.product(name: "CoreMetrics", package: "swift-metrics")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioEmbedded = Target.Dependency.product(name: "NIOEmbedded", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let hummingbirdCore = Target.Dependency.product(name: "HummingbirdCore", package: "hummingbird")
let hummingbirdTesting = Target.Dependency.product(name: "HummingbirdTesting", package: "hummingbird")
let hummingbirdTLS = Target.Dependency.product(name: "HummingbirdTLS", package: "hummingbird")
let httpClient = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let nioHTTPTypes = Target.Dependency.product(name: "NIOHTTPTypes", package: "swift-nio-extras")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let gRDBSQLite = Target.Dependency.product(name: "GRDBSQLite", package: "GRDB.swift")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let nioTLS = Target.Dependency.product(name: "NIOTLS", package: "swift-nio")

let package = Package(
    name: "telstar",
    platforms: [.macOS(.v15)],
    products: [.executable(name: "telstar", targets: ["telstar"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-asn1.git", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-certificates.git", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-collections.git", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-configuration.git", from: "1.4.0"),
        .package(url: "https://github.com/apple/swift-crypto.git", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types.git", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics.git", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras.git", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl.git", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-protobuf.git", from: "1.39.0"),
        .package(url: "https://github.com/groue/GRDB.swift.git", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird.git", from: "2.28.1"),
        .package(url: "https://github.com/jpsim/Yams.git", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/async-http-client.git", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
    ],
    targets: [
        .executableTarget(
            name: "telstar",
            dependencies: [
                "APIServing", "CloudMailingAPI", "ClusterLink", "DKIM", "DaemonSupport", "Listening", "MailDNS",
                "MailFormat",
                "MailingModel", "MasterCore", "NativeAPI", "OperatorAPI", "MasterStore", "SMTP", "SMTPSink",
                "SatelliteCore", "Secrets", "ZeroMQ",
                argumentParser, crypto, httpClient, lifecycle, logging, metrics, nioCore, nioHTTP1, nioPosix,
                nioSSL,
            ],
            swiftSettings: settings
        ),
        // APIs
        library(
            "CloudMailingAPI",
            ["APIServing", "MailFormat", "MailingModel", "MasterCore", "XMLRPC", httpTypes, hummingbird, nioCore]
        ),
        library(
            "NativeAPI",
            [
                "APIServing", "MailingModel", "MasterCore", "RecordFormat", httpTypes, hummingbird,
                lifecycle,
                logging, nioCore,
            ]
        ),
        library(
            "OperatorAPI",
            ["APIServing", "MailingModel", "MasterCore", "ZeroMQ", httpTypes, hummingbird, nioCore]
        ),
        library(
            "APIServing",
            [
                "HTTPServing", "Listening", "MailingModel", "MasterCore", httpTypes, hummingbird, lifecycle, logging,
                nioCore, nioSSL,
            ]
        ),
        // Engines
        library(
            "MasterCore",
            ["ClusterLink", "DKIM", "MailFormat", "MailMerge", "MailingModel", "MasterStore", "Secrets", logging]
        ),
        library(
            "SatelliteCore",
            [
                "ClusterLink", "DKIM", "MailDNS", "MailFormat", "MailMerge", "MailingModel", "SMTP", "SatelliteJournal",
                crypto, deque, logging, nioCore, nioPosix,
            ]
        ),
        // Promises
        library("MasterStore", ["MailingModel", "PostgreSQL", grdb, gRDBSQLite]),
        library("ClusterLink", ["MailingModel", "ZeroMQ", crypto, logging, protobuf]),
        library("SatelliteJournal", ["MailingModel"]),
        // Subject
        library("MailMerge", ["MailFormat", "MailingModel"]),
        library("MailingModel", []),
        // Formats
        library("MailFormat", ["CIDN2"]),
        library("DKIM", ["MailFormat", crypto, cryptoExtras]),
        library("SMTP", ["Listening", "MailFormat", nioCore, nioPosix, nioSSL, nioTLS]),
        library("SMTPSink", ["DKIM", "Listening", "MailingModel", "SMTP", crypto, logging, nioCore, nioPosix]),
        library("MailDNS", ["CUnbound"]),
        library("PostgreSQL", ["CPostgreSQL"]),
        library("XMLRPC", []),
        library("ZeroMQ", ["CZeroMQ", deque], settings: [.strictMemorySafety()]),
        // General
        library(
            "DaemonSupport",
            ["HTTPServing", "Listening", configuration, coreMetrics, hummingbird, lifecycle, logging, nioCore, yams]
        ),
        library(
            "HTTPServing",
            [
                "Listening", httpTypes, hummingbird, hummingbirdCore, hummingbirdTLS, lifecycle, logging, nioCore,
                nioHTTPTypes, nioSSL, nioTLS,
            ]
        ),
        library("Listening", [logging, nioCore, nioPosix]),
        library("RecordFormat", []),
        library("Secrets", [asn1, crypto, olderCryptoExtras, x509]),
        .systemLibrary(name: "CIDN2", providers: [.apt(["libidn2-dev"])]),
        .systemLibrary(name: "CPostgreSQL", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CUnbound", providers: [.apt(["libunbound-dev"])]),
        .systemLibrary(name: "CZeroMQ", providers: [.apt(["libzmq3-dev"])]),
        // Tests
        .target(name: "TestKit", path: "Tests/TestKit", swiftSettings: settings),
        .target(
            name: "TestPostgreSQL",
            dependencies: ["PostgreSQL", "TestKit"],
            path: "Tests/TestPostgreSQL",
            swiftSettings: settings
        ),
        .target(
            name: "TestAPI",
            dependencies: [
                "APIServing", "ClusterLink", "MailingModel", "MasterCore", "MasterStore", "Secrets", httpTypes,
                hummingbird,
                hummingbirdTesting, logging,
            ],
            path: "Tests/TestAPI",
            swiftSettings: settings
        ),
        tests(
            "APIServing",
            ["APIServing", "MasterCore", httpTypes, hummingbird, inMemoryLogging, logging, "TestAPI"]
        ),
        tests("CloudMailingAPI", ["CloudMailingAPI", "MailingModel", "MasterCore", httpTypes, "TestAPI"]),
        tests(
            "NativeAPI",
            [
                "APIServing", "MailingModel", "MasterCore", "NativeAPI", "RecordFormat", httpTypes, hummingbird,
                logging,
                nioCore, "TestAPI",
            ]
        ),
        tests("OperatorAPI", ["APIServing", "MailingModel", "MasterCore", "OperatorAPI", httpTypes, "TestAPI"]),
        tests("ClusterLink", ["ClusterLink", "MailingModel", "ZeroMQ", crypto, logging, "TestKit"]),
        tests("DKIM", ["DKIM", "MailFormat", "TestKit"]),
        tests(
            "DaemonSupport",
            ["DaemonSupport", "Listening", coreMetrics, lifecycle, logging, nioCore, nioPosix]
        ),
        tests(
            "HTTPServing",
            ["DaemonSupport", "HTTPServing", "Listening", "Secrets", hummingbird, logging, nioCore, nioPosix, nioSSL]
        ),
        tests("Listening", ["Listening", logging, nioCore, nioEmbedded]),
        tests("MailDNS", ["MailDNS", "TestKit"]),
        tests("MailFormat", ["MailFormat", "TestKit"]),
        tests("MailMerge", ["MailFormat", "MailMerge", "MailingModel", "TestKit"]),
        tests("MailingModel", ["MailingModel"]),
        tests(
            "MasterCore",
            [
                "ClusterLink", "DKIM", "MailFormat", "MailMerge", "MailingModel", "MasterCore", "MasterStore",
                "Secrets",
                inMemoryLogging, logging,
            ]
        ),
        tests(
            "MasterStore",
            ["MailingModel", "MasterStore", "PostgreSQL", grdb, gRDBSQLite, "TestKit", "TestPostgreSQL"]
        ),
        tests("PostgreSQL", ["PostgreSQL", "TestPostgreSQL"]),
        tests("RecordFormat", ["RecordFormat", "TestKit"]),
        tests(
            "SMTP",
            ["Listening", "MailFormat", "SMTP", nioCore, nioEmbedded, nioPosix, "TestKit"],
            resources: [.copy("Dialogues")]
        ),
        tests("SMTPSink", ["MailFormat", "MailingModel", "SMTP", "SMTPSink", logging, nioCore, nioPosix]),
        tests(
            "SatelliteCore",
            [
                "ClusterLink", "DKIM", "MailDNS", "MailingModel", "SMTP", "SatelliteCore", "SatelliteJournal", crypto,
                logging, nioCore, nioPosix,
            ]
        ),
        tests("SatelliteJournal", ["MailingModel", "SatelliteJournal", "TestKit"]),
        tests("Secrets", ["Secrets", asn1, x509]),
        tests("XMLRPC", ["XMLRPC", "TestKit"]),
        tests("ZeroMQ", ["ZeroMQ", "TestKit"]),
        tests("telstar", ["DaemonSupport", "OperatorAPI", "Secrets", "telstar"]),
    ]
)
