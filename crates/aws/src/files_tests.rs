//! Signed URLs against what AWS itself has published, and where they lead.

use aws_config::{BehaviorVersion, Region};

use super::*;

/// As in AWS's documentation.
fn example() -> Credentials {
    Credentials::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", None, None, "an example")
}

/// 2013-05-24T00:00:00Z.
const THEN: Timestamp = Timestamp::from_secs(1_369_353_600);

#[test]
fn the_example_of_the_documentation_is_signed_alike() {
    // Source: S3 API reference, "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)".
    let url = "https://examplebucket.s3.amazonaws.com/test.txt";
    let request = Request { method: "GET", url, headers: &[], validity: Duration::from_secs(86_400) };
    assert_eq!(
        presign(&request, example(), "us-east-1", THEN).expect("a URL"),
        "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
         &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z\
         &X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
         &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    );
}

fn files(region: &'static str, endpoint: Option<&str>, credentials: Credentials) -> S3Files {
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static(region))
        .credentials_provider(SharedCredentialsProvider::new(credentials));
    config.set_endpoint_url(endpoint.map(str::to_owned));
    S3Files::new(&config.build(), "bucket")
}

fn attachment() -> Attachment {
    Attachment {
        id: "0f1e2d3c4b5a69788796a5b4c3d2e1f0".parse().expect("an id"),
        uploader: "alice".parse().expect("a user"),
        media_type: "image/svg+xml".parse().expect("a type"),
        bytes: 12_345,
        expires_at: THEN.plus(Duration::from_secs(86_400)),
    }
}

#[tokio::test]
async fn an_upload_is_signed_with_its_size_and_its_type() {
    let files = files("eu-west-1", None, example());
    let Upload { target, headers } = files.upload(&attachment(), THEN).await.expect("an upload");
    let expected = [("content-length", "12345"), ("content-type", "image/svg+xml"), ("if-none-match", "*")];
    assert_eq!(headers, expected.map(|(name, value)| (name, value.to_owned())));
    let start = "https://bucket.s3.eu-west-1.amazonaws.com/0f1e2d3c4b5a69788796a5b4c3d2e1f0?X-Amz-Algorithm=";
    assert!(target.url.starts_with(start), "{}", target.url);
    let names = "&X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost%3Bif-none-match&X-Amz-Signature=";
    assert!(target.url.contains(names) && target.url.contains("&X-Amz-Expires=900&"), "{}", target.url);
    assert_eq!(target.expires_at, THEN.plus(Duration::from_secs(900)));

    // As botocore's S3SigV4QueryAuth signs the same request.
    let signature = "&X-Amz-Signature=f1e5a5b84ef28e940a01b46561068c89e5bbd8085f59bb3c816bf7b5601c4786";
    assert!(target.url.ends_with(signature), "{}", target.url);

    let larger = files.upload(&Attachment { bytes: 12_346, ..attachment() }, THEN).await.expect("an upload");
    let other = Attachment { media_type: "image/png".parse().expect("a type"), ..attachment() };
    let other = files.upload(&other, THEN).await.expect("an upload");
    assert!(larger.target.url != target.url && other.target.url != target.url);
    assert!(!format!("{target:?}").contains("Signature"), "a URL reaches no log");
}

#[tokio::test]
async fn a_download_is_saved_and_never_shown() {
    let temporary = Credentials::new("AKID", "secret", Some("to/ken+=".to_owned()), None, "a role");
    let signed = files("cn-north-1", None, temporary).download(&attachment(), THEN).await.expect("a download");
    let start = "https://bucket.s3.cn-north-1.amazonaws.com.cn/0f1e2d3c4b5a69788796a5b4c3d2e1f0\
                 ?response-content-disposition=attachment&X-Amz-Algorithm=";
    assert!(signed.url.starts_with(start), "{}", signed.url);
    assert!(signed.url.contains("&X-Amz-Security-Token=to%2Fken%2B%3D"), "{}", signed.url);
    assert!(signed.url.contains("&X-Amz-Expires=600&") && !signed.url.contains("secret"), "{}", signed.url);
    // By botocore as well.
    let signature = "&X-Amz-Signature=fd36e10fa6c2d91c72ca3d775549ec486dbd0e9246cb78fecdd5a9122ca2dd38";
    assert!(signed.url.contains(signature), "{}", signed.url);
}

#[tokio::test]
async fn another_endpoint_has_the_bucket_in_its_path() {
    for endpoint in ["http://127.0.0.1:4566", "http://127.0.0.1:4566/"] {
        let signed = files("us-east-1", Some(endpoint), example()).download(&attachment(), THEN).await;
        let url = signed.expect("a download").url;
        assert!(url.starts_with("http://127.0.0.1:4566/bucket/0f1e2d3c4b5a69788796a5b4c3d2e1f0?"), "{url}");
    }
}

#[tokio::test]
async fn without_credentials_nothing_is_signed() {
    let config = SdkConfig::builder().region(Region::from_static("us-east-1")).build();
    let refused = S3Files::new(&config, "bucket").download(&attachment(), THEN).await;
    assert!(refused.expect_err("no URL").to_string().starts_with("failed to sign a download"));
}
