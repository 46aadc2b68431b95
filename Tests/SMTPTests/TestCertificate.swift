// SPDX-License-Identifier: Apache-2.0

/// A self-signed certificate for `mx.example`, for tests only; anybody may know its key.
enum TestCertificate {
    static let certificatePEM = """
        -----BEGIN CERTIFICATE-----
        MIIBgTCCASegAwIBAgIUI2U8KK1r+q+stL29YK9Gsf/bqP8wCgYIKoZIzj0EAwIw
        FTETMBEGA1UEAwwKbXguZXhhbXBsZTAgFw0yNjExMjMwNjM0NTNaGA8yMTI2MTAz
        MDA2MzQ1M1owFTETMBEGA1UEAwwKbXguZXhhbXBsZTBZMBMGByqGSM49AgEGCCqG
        SM49AwEHA0IABNEXSLG30KM9QhOqLgu4XRGpVIMG+xg7Oa4WpXGh7XArCnv/UGDQ
        /tvANHoAK1uYx6LnwRt4wEFFJAaKrclT4TOjUzBRMB0GA1UdDgQWBBQSB70O10aX
        ywAe1O7qv5EQUDyMqjAfBgNVHSMEGDAWgBQSB70O10aXywAe1O7qv5EQUDyMqjAP
        BgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIFosQFjxJrqIgV7pJ5vh
        EpWPnPawtZlfTxo+X5vu5m+CAiEA1rA/0etLmLXvvQv16a97+yo99K9Fvu/+f5Un
        lVW4XoM=
        -----END CERTIFICATE-----
        """

    static let privateKeyPEM = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg6K8y239EJmzZpstQ
        7TP4rkDaQRI9B7LunWNLzEhr1bKhRANCAATRF0ixt9CjPUITqi4LuF0RqVSDBvsY
        OzmuFqVxoe1wKwp7/1Bg0P7bwDR6ACtbmMei58EbeMBBRSQGiq3JU+Ez
        -----END PRIVATE KEY-----
        """
}
